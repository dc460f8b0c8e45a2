"""ImageNet's own lists: classes, boxes, ground truth."""
