"""ImageNet's own lists.

imagenet_classes.py       the 1000 classes, and the three orders in which files number them
imagenet_files.py         class folders and tars of images, listed
imagenet_shards.py        TFRecord files, classic or TFDS'
imagenet_boxes.py         boxes as maps, from the CSV or the XML files
imagenet_ground_truth.py  the class of each validation image, from any of the usual lists
"""
