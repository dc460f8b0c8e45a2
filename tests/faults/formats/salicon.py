"""SALICON's three published forms, written as their authors' files are.

The JSON follows NUS-VIP/salicon-api's sample (annotations/fixations_train2014examples.json, made
with Python's json.dump): the same top-level keys in the same order, the same keys of images and
annotations, pairs of whole numbers [row, column] counted from 1. The MAT files follow the LSUN
edition as pysaliency reads it: MATLAB's version 5, compressed, gaze an n x 1 struct. The PNG maps
are grey, 8 bits.
"""

import json

import numpy as np
from PIL import Image
from scipy.io import savemat


def file_name(image_id, part="train2014"):
    return f"COCO_{part}_{image_id:012d}.jpg"


def write_json(path, workers, part="train2014", size=(480, 640)):
    """`workers`: (image id, worker id, [[row, column], ...]) each."""
    ids = sorted({image_id for image_id, _, _ in workers})
    height, width = size
    document = {
        "info": {
            "description": "This is stable 1.0 version of the 2014 Salicon dataset",
            "url": "http://salicon.net",
            "version": "1.0",
            "year": 2014,
            "contributor": "NUS VIP Group",
            "date_created": "2015-04-25 09:44:28.059989",
        },
        "images": [
            {
                "license": 4,
                "url": f"http://farm7.staticflickr.com/6120/{image_id}_z.jpg",
                "file_name": file_name(image_id, part),
                "height": height,
                "width": width,
                "date_captured": "2013-11-14 16:50:09",
                "id": image_id,
            }
            for image_id in ids
        ],
        "licenses": [{"url": "http://example.org/", "id": 4, "name": "a license"}],
        "type": "fixations",
        "annotations": [
            {"image_id": image_id, "fixations": fixations, "worker_id": worker, "id": number}
            for number, (image_id, worker, fixations) in enumerate(workers, 1)
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return document


def write_mat(path, observers, size=(480, 640)):
    """`observers`: dicts of location, timestamp and fixations, points [x, y] counted from 1."""
    gaze = np.empty(
        (len(observers), 1), [("location", "O"), ("timestamp", "O"), ("fixations", "O")]
    )
    for row, observer in enumerate(observers):
        for field in gaze.dtype.names:
            gaze[field][row, 0] = np.asarray(observer[field], np.float64)
    path.parent.mkdir(parents=True, exist_ok=True)
    variables = {"image": path.stem, "resolution": np.array([size], np.float64), "gaze": gaze}
    savemat(path, variables, do_compression=True)


def write_map(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, np.uint8)).save(path)
