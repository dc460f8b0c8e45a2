"""Other people's files, read by position, without running or unpacking anything.

archives/  tar, zip, NPZ, MAT          imagenet/  classes, boxes, ground truth
clicks/    ClickMe's raw clicks        images/    image files that a list names
coco/      annotations and masks       examples/  tf.train.Examples, TFDS' directories

file_names.py  file names: composed or not, or in no known encoding
seeded.py      the order that a seed gives to names
csv_rows.py    CSV tables, a bad row at a time
listing.py     what a listing leaves out and finds wrong: said, and kept for the build
"""
