"""Other people's files, read by position; nothing in them is run or unpacked.

archives/  files inside tar, zip, NPZ and MAT files
clicks/    ClickMe's raw clicks
coco/      COCO's annotations and masks
examples/  tf.train.Example records of others
imagenet/  ImageNet's own lists: classes, boxes, ground truth
images/    image files, and images stored as floats
"""
