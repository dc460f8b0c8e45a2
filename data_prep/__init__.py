"""From raw images and clicks to verified TFRecord shards, and what people agree on in them.

Commands: build_tfrecords.py, verify.py, reliability.py; tfds_builder.py is the data set's public
name in TensorFlow Datasets. Rooms, each sees only what stands above it here, and itself:

maps/          clicks, boxes and fixations -> count maps, in the frame of their image
parallel/      one pool of worker processes for all commands
readers/       other people's files: archives, clicks, COCO, records, ImageNet's lists, images
sources/       one file a source; `sources/__init__.py` says how to add one
merging/       the maps of one source on the images of another
building/      plan, shards, the finish: how a data set is made
raters/        how far participants agree
verification/  every record checked; contact sheets and statistics
"""

import gala_tf  # noqa: F401  first of all: Ctrl-C then ends a command in one line
