"""COCO's instances JSON, written as its authors' tools write it.

The document's keys are those of instances_train2017.json, in its order: annotations before
categories. Run lengths go down the columns and begin with zeros; `compressed` is the text of
cocoapi's rleToString: differences from the run two before, beginning with the fourth, in groups of
five bits, lowest first.
"""

import json

import numpy as np


def run_lengths(mask):
    """Uncompressed counts of a mask [H, W]."""
    values = np.asarray(mask, np.uint8).T.ravel()
    edges = np.flatnonzero(np.diff(values)) + 1
    bounds = np.concatenate([[0], edges, [len(values)]])
    counts = np.diff(bounds).tolist()
    return counts if values[0] == 0 else [0, *counts]


def compressed(counts):
    """cocoapi's text of run lengths."""
    text = []
    for place, count in enumerate(counts):
        rest = count - counts[place - 2] if place > 2 else count
        while True:
            group, rest = rest & 0x1F, rest >> 5
            done = rest == -1 if group & 0x10 else rest == 0
            text.append(chr(48 + group + (0 if done else 0x20)))
            if done:
                break
    return "".join(text)


def rle(mask, as_text=False):
    counts = run_lengths(mask)
    return {"size": list(mask.shape), "counts": compressed(counts) if as_text else counts}


def annotation(number, image_id, category_id, segmentation, bbox, area, iscrowd=0):
    return {
        "segmentation": segmentation,
        "area": area,
        "iscrowd": iscrowd,
        "image_id": image_id,
        "bbox": bbox,
        "category_id": category_id,
        "id": number,
    }


def image(number, file_name, height, width):
    return {
        "license": 3,
        "file_name": file_name,
        "coco_url": f"http://images.cocodataset.org/train2017/{file_name}",
        "height": height,
        "width": width,
        "date_captured": "2013-11-14 17:02:52",
        "flickr_url": "http://farm9.staticflickr.com/8040/8017130856_1b46b5f5fc_z.jpg",
        "id": number,
    }


def category(number, name, supercategory="thing"):
    return {"supercategory": supercategory, "id": number, "name": name}


def write_instances(path, images, annotations, categories):
    path.parent.mkdir(parents=True, exist_ok=True)
    document = {
        "info": {"description": "COCO 2017 Dataset", "version": "1.0", "year": 2017},
        "licenses": [{"url": "http://example.org/", "id": 3, "name": "a license"}],
        "images": images,
        "annotations": annotations,
        "categories": categories,
    }
    path.write_text(json.dumps(document))
