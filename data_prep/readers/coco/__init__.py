"""COCO's annotations and masks."""
