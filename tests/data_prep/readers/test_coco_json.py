"""COCO's JSON read piece by piece, and grouped by image."""

import json

import pytest

from data_prep.readers.coco import coco_json, coco_store
from data_prep.readers.coco.coco_store import AnnotationStore, Kept
from data_prep.readers.images.image_files import relative_name

KEYS = ("images", "annotations", "categories")
DOCUMENT = {
    "info": {"a": [1, 2, {"b": "]}"}], "n": -12.5e3},
    "year": 2017,
    "images": [{"id": 1, "t": 'é"\\,]'}, {"id": 2}],
    "nothing": None,
    "empty": [],
    "categories": [],
    "numbers": [1, 22, 3.5],
    "annotations": [{"id": n, "counts": list(range(n))} for n in range(30)],
}


def flat(document):
    return [(key, item) for key in document if key in KEYS for item in document[key]]


@pytest.mark.parametrize("chunk", [1, 2, 3, 7, 64, 1 << 20])
@pytest.mark.parametrize("style", [{}, {"indent": 2}, {"ensure_ascii": False}])
def test_every_element_whatever_the_window(tmp_path, monkeypatch, chunk, style):
    monkeypatch.setattr(coco_json, "CHUNK", chunk)
    path = tmp_path / "a.json"
    path.write_text(json.dumps(DOCUMENT, **style), encoding="utf-8-sig")
    assert list(coco_json.elements(str(path), KEYS)) == flat(DOCUMENT)


def test_a_cut_anywhere_is_seen(tmp_path, monkeypatch):
    monkeypatch.setattr(coco_json, "CHUNK", 50)
    path, text = tmp_path / "a.json", json.dumps(DOCUMENT | {"annotations": [{"id": 7}]})
    for end in range(len(text)):
        path.write_text(text[:end])
        with pytest.raises(ValueError, match="a.json' is no JSON file in COCO's format"):
            list(coco_json.elements(str(path), KEYS))


@pytest.mark.parametrize(
    "text, message",
    [
        ("[]", r"expected '\{', got '\['"),
        ("", "the file ends"),
        ('{"images": [{"id": 1} {"id": 2}]}', r"expected '\]', got '\{'"),
        ('{"images" [1]}', "expected ':'"),
        ('{"images": [1]}', r"images\[0\] must be an object, got 1"),
        ('{"a": 1e}', "'e' after a value"),
        ('{"a": ' + "[" * 100_000 + "}", "recursion|Recursion|depth"),
        ('{"a": ' + "9" * 10_000 + "}", "digits"),
        (b'{"a": "\xff"}', "not UTF-8"),
        ('{"images": [{"id": "' + "x" * 50_000 + '"}]}', "more than 4000 characters"),
    ],
)
def test_files_that_are_no_coco_json(tmp_path, monkeypatch, text, message):
    monkeypatch.setattr(coco_json, "MAX_ELEMENT", 4000)
    monkeypatch.setattr(coco_json, "CHUNK", 4001)
    path = tmp_path / "a.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    if "recursion" in message:
        monkeypatch.setattr(coco_json, "MAX_ELEMENT", 10**6)
    with pytest.raises(ValueError, match=f"a.json.*({message})"):
        list(coco_json.elements(str(path), KEYS))
    with pytest.raises(ValueError, match="b.json' does not exist"):
        list(coco_json.elements(str(tmp_path / "b.json"), KEYS))


@pytest.mark.parametrize(
    "name, split",
    [
        ("x/val/instances_train2017.json", "train"),
        ("fixations_val2014.json", "validation"),
        ("image_info_test-dev2017.json", "test"),
        ("instances_trainval.json", ""),
        ("mine.json", ""),
    ],
)
def test_splits_by_name(name, split):
    assert coco_json.split_of_name(name) == split


def keep(annotation, where):
    assert where.endswith(f"a.json', annotation id {annotation['id']}")
    if annotation.get("skip"):
        return None
    return Kept(annotation.get("category_id"), annotation.get("area"), annotation.get("v", 0))


def image(number, name="a.jpg", **others):
    return {"id": number, "file_name": name, "height": 4, "width": 6} | others


def store(tmp_path, images, annotations, categories=({"id": 3, "name": "cat"},)):
    document = {"annotations": annotations, "images": images, "categories": categories}
    (tmp_path / "a.json").write_text(json.dumps(document))
    found = AnnotationStore()
    found.add(str(tmp_path / "a.json"), keep)
    return found


def test_annotations_are_grouped(tmp_path):
    found = store(
        tmp_path,
        [image(7, "b.jpg"), image(5, "a.jpg"), image(6, "c.jpg")],
        [
            {"id": 4, "image_id": 7, "category_id": 3, "area": 2.5, "v": [1]},
            {"id": 2, "image_id": 7, "category_id": 9, "area": 2.5, "v": [2]},
            {"id": 3, "image_id": 5, "skip": True},
            {"id": 1, "image_id": 7, "category_id": 3, "area": 1, "v": [3]},
        ],
        [{"id": 9, "name": "cat"}, {"id": 3, "name": "cat"}, {"id": 1, "name": "dog"}],
    )
    first, second, third = found.images()
    assert second == coco_store.StoredImage(0, 7, "b.jpg", 4, 6) and first.name == "a.jpg"
    assert found.first_image(0) == "a.jpg"
    assert list(found.payloads(second)) == [(1, [3]), (2, [2]), (4, [1])]
    assert list(found.payloads(second, 3)) == [(1, [3]), (4, [1])]
    assert list(found.payloads(first)) == list(found.payloads(third)) == []
    assert found.largest(second) == 9  # 2.5 both: the smaller id
    assert found.largest(first) is None
    assert found.category_of_id(7) == 9 and found.category_of_id(99) is None
    assert (found.left_out, len(found.bare_images())) == (1, 2)
    assert found.class_names() == ([1, 3, 9], ("dog", "cat (3)", "cat (9)"))


@pytest.mark.parametrize(
    "images, annotations, categories, message",
    [
        ([image(1), image(1, "b")], [], [], "images id 1 occurs twice"),
        ([image(1)], [{"id": 2, "image_id": 1}] * 2, [], "annotations id 2 occurs twice"),
        ([image(1)], [{"id": 2, "image_id": 1, "skip": 1}] * 2, [], "id 2 occurs twice"),
        ([image(1)], [{"id": 2, "image_id": 8}], [], "annotation id 2: image_id 8 is not among"),
        ([image(1)], [{"id": 2, "image_id": "1"}], [], "image_id must be a whole number, got '1'"),
        ([image(1)], [{"id": 2}], [], "annotation id 2: image_id must be"),
        ([image(1)], [{"id": 2, "image_id": 1, "category_id": 5}], [], "id 5 is not among"),
        ([image("x")], [], [], "images has id 'x', expected a whole number"),
        ([image(2**70)], [], [], "expected a whole number"),
        ([image(True)], [], [], "expected a whole number"),
        ([image(1, "../x.jpg")], [], [], "image id 1: image name '../x.jpg' must be"),
        ([image(1, 5)], [], [], "image name 5 must be"),
        ([image(1, height=0)], [], [], r"height and width must be whole numbers > 0, got \(0, 6\)"),
        ([image(1, width="6")], [], [], "height and width"),
        ([], [], [{"id": 1, "name": "a"}, {"id": 1, "name": "b"}], "category 1 is called 'b'"),
        ([], [], [{"id": 1}], "category 1 is called None"),
    ],
)  # fmt: skip
def test_contradictions_are_named(tmp_path, images, annotations, categories, message):
    with pytest.raises(ValueError, match=rf"a\.json'.*{message}"):
        store(tmp_path, images, annotations, categories)


@pytest.mark.parametrize("name", ["a.jpg", "a/b c.jpg", "a\\b.jpg", "./a.jpg", "a/../b.jpg", "..a"])
def test_names_that_stay_below_the_root(name):
    assert not relative_name(name, "x").startswith((".", "/")) or name == "..a"


@pytest.mark.parametrize(
    "name",
    [
        "",
        " ",
        ".",
        "..",
        "/a",
        "../a",
        "a/../../b",
        "\\a",
        "C:\\a",
        "gs://a/b",
        "a\0",
        "a\n",
        3,
        None,
    ],
)
def test_names_that_lead_elsewhere(name):
    with pytest.raises(ValueError, match="list, image 3: image name .* must be the path"):
        relative_name(name, "list, image 3")
