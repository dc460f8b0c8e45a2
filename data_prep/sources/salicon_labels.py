"""Labels for SALICON, which has none: COCO's instances, by the number that both give an image.

With COCO's instances files (--annotations) the label is the category of the image's largest object;
images without an object are left out. Without them there is one class, "unlabelled": classification
means nothing then.
"""

import collections

from absl import logging

from data_prep.readers import listing
from data_prep.readers.coco.coco_json import find_files
from data_prep.readers.coco.coco_store import AnnotationStore
from data_prep.sources.coco import keep_object

UNLABELLED = "unlabelled"


class Labels:
    """The label of an image by its number in COCO; without instances files 0, of all."""

    def __init__(self, annotations: str):
        self._store, self.class_names = None, (UNLABELLED,)
        if not annotations:
            logging.warning(
                "SALICON has no labels: all images get the class %r, and classification means "
                "nothing. --annotations=instances_train2014.json,instances_val2014.json of COCO "
                "gives labels.",
                UNLABELLED,
            )
            return
        self._store = AnnotationStore()
        for path in find_files(annotations, "COCO's instances JSON (--annotations)"):
            self._store.add(path, _keep_category)
        ids, self.class_names = self._store.class_names()
        if not ids:
            raise ValueError(f"--annotations={annotations!r} lists no categories.")
        self._index = {category: label for label, category in enumerate(ids)}

    def of(self, image_id: int) -> int | None:
        """None: the image has no object."""
        return 0 if self._store is None else self._index.get(self._store.category_of_id(image_id))


def _keep_category(annotation, where):
    kept = keep_object(annotation, where, "boxes")
    return kept and kept._replace(payload=True)


class LeftOut:
    """The images that the listing leaves out, by reason; says how many at its end."""

    def __init__(self):
        self._names, self.kept = collections.defaultdict(list), 0

    def add(self, why, name):
        self._names[why].append(name)

    def say(self):
        for why, names in self._names.items():
            logging.warning("%d images are left out: %s.", len(names), why)
            listing.note(f"images, since {why}", names)


NO_LABEL = "COCO's instances have no object in them, hence no label"
NO_SPLIT = "they belong to the test set, or to none"
