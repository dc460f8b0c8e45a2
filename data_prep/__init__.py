"""From raw images and clicks to verified TFRecord shards: what a user runs once.

build_tfrecords.py   the command: a source -> shards and dataset_info.json
verify.py            the command: every record read once, every fault named, contact sheets
reliability.py       the command: how far people agree, the ceiling of map scores
tfds_builder.py      finished shards for users of TensorFlow Datasets

From the ground up:

maps/  parallel/     bubbles and boxes -> count maps; one pool of worker processes
readers/             other people's files
sources/             one file a source; its docstring says how to add one
merging/             maps of one source on the images of another
building/  raters/   shards; agreement of participants
verification/        what `verify` looks at
"""
