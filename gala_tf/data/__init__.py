"""Shards on disk and the batches they become.

files.py           local and gs:// files; written whole or not at all
places.py          whose directory it is: what a command may write into
images.py          image files: decoded completely, checked, made JPEG
schema.py          what one record holds
dataset_info.py    what a whole data set holds: dataset_info.json
records.py         examples -> records, and back in TensorFlow
tfrecord_files.py  shards written; records read by position
clickmaps.py       blur, crop, resize of click maps
preprocessing.py   one window and one mirror flag for image and map
reading.py         a split: its shards, its records, their names
input_pipeline.py  shards -> batches
bad_records.py     records that cannot be read
eval_pipeline.py  a split for evaluation: every image once, exact maps, single images, and particip
contracts.py      Protocols: what passes between rooms
left_out.py       training on without records that cannot be read: which they are, and what is read
messages.py       what TensorFlow's errors say, without what it wraps around it
"""
