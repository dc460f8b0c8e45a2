"""tf.train.Example records of others.

example_features.py  one short feature, without reading the image beside it
example_fields.py    features by name and type, with errors that name file and record
record_boxes.py      the boxes inside the classic ImageNet TFRecords
tfds_files.py        a data set that TensorFlow Datasets prepared: its files with their lengths
"""
