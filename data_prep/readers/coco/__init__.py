"""COCO's annotations and masks.

coco_json.py   JSON files, element by element
coco_store.py  images with their annotations, grouped in a database on disk
masks.py       polygons, run lengths and boxes as pixels
"""
