"""Shards on disk and the batches they become.

files.py           local and gs:// files; written whole or not at all
places.py          whose directory it is: what a command may write into
images.py          image files: decoded completely, checked, made JPEG
csv_head.py        columns of a CSV file by name, as people spell them
schema.py          what one record holds
dataset_info.py    what a whole data set holds: dataset_info.json
records.py         examples -> records, and back in TensorFlow
tfrecord_files.py  shards written; records read by position
clickmaps.py       which blur, exact blurred counts
map_operators.py   crop, flip, resize and blur of maps in TensorFlow
preprocessing.py   one window and one mirror flag for image and map
reading.py         a split: its shards, its records, their names
input_pipeline.py  shards -> batches
bad_records.py     records that cannot be read
eval_pipeline.py   a split for evaluation: every image once, exact maps
left_out.py        training on without the records that cannot be read
messages.py        what TensorFlow's errors say, unwrapped
contracts.py       types of what passes between the rooms
"""
