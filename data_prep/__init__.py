"""From raw images and clicks to verified TFRecord shards: what a user runs once.

build_tfrecords.py   a source -> shards + dataset_info.json, by building/
verify.py            every record read, every fault named, by verification/
reliability.py       how far people agree on where to look, by raters/
tfds_builder.py      finished shards for TensorFlow Datasets

sources/    one file a source; its `__init__.py` says how to add one
merging/    maps of one source laid onto the images of another
readers/    formats of files;  maps/: clicks and boxes -> count maps;  parallel/: processes
"""
