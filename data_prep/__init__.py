"""From raw images and clicks to verified TFRecord shards: what a user runs once.

build_tfrecords.py   the command: a source -> shards + dataset_info.json
sources/             one file a source; `sources/__init__.py` says how to add one
clicks.py            bubbles and boxes -> count maps
geometry.py          one frame for image and maps
encoding.py          one example -> one serialised record, in a worker process
splits.py            which image goes to which split; no image in two
shards.py            records -> shuffled shards of even size
quickstart.py        the built-in data set
"""
