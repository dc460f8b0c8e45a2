"""tf.train.Example records of others.

example_features.py  one short feature, without reading the image beside it
tfds_files.py        a data set that TensorFlow Datasets prepared: its files with their lengths
"""
