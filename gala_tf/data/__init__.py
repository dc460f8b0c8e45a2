"""Shards on disk and the batches they become.

records.py         the schema: what one record holds, written and read
dataset_info.py    the sidecar that describes a data set: counts, classes, geometry, shards
files.py           writing so that a reader finds the old file or the new one, never half of either
open_files.py      opening files to read from, local or gs://
images.py          image files as they are stored: decoded, checked, turned upright, made JPEG
tfrecord_files.py  TFRecord files by position: where a record lies, and one read from the middle
clickmaps.py       linear operators on maps: blur, crop, flip, resize, bounding box
preprocessing.py   one window and one mirror flag, for an image and its map alike
reading.py         which shards of a split; a record parsed, its map read
input_pipeline.py  shards to batches: an endless stream for training, once through for evaluation
bad_records.py     finding, naming and leaving out records that cannot be read
"""
