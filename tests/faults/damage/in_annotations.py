"""Damage to texts of clicks, fixations and objects: clickme_clicks, salicon and coco."""

import io

import numpy as np
from faults.damage import (
    ENTRY,
    EPS,
    LEFT_OUT,
    NAMED,
    Damage,
    as_png,
    file,
    gone,
    json_file,
    line,
    pictures,
    png_bomb,
    told_as,
)
from faults.damage.in_archives import deflated_zeros
from faults.formats import imagenet
from scipy.io import savemat

_CSV = "clicks.csv"
_HEAD = "image_path,clicks,user_id,timestamp,user_catch_trial,is_mobile"
_GOOD = '{"(1,2)","(30,40)","(5,6)"}'


def _row(clicks=_GOOD, path="imagenet/train/dog/d1.jpg", user="u1", rest="1,1.0,False", **others):
    quoted = clicks.replace('"', '""')
    return line(_CSV, 3, f'{path},"{quoted}",{user},{rest}', **others)


_OUTSIDE = {"allowed": LEFT_OUT, "said": r"d1.jpg.*: 1 of \d+ clicks lie outside"}
_NOT_FINITE = {"allowed": LEFT_OUT, "said": "removed 1 clicks whose coordinates are not finite"}
_ABSENT = {"allowed": LEFT_OUT, "said": "removed 1 submissions on images that are not there"}
_MALFORMED = {
    "bare pair": "(1,2)",
    "no parentheses": "{1,2}",
    "open": '{"(1,2)","(3,4)"',
    "two kinds of brackets": "[(1,2)}",
    "three coordinates": "[(1,2,3)]",
    "one coordinate": "[(1,)]",
    "letters": "[(a,b)]",
    "no comma": "[(1,2) (3,4)]",
    "code": "__import__('os').system('true')",
    "a call in a list": "[(1,2),exit()]",
    "digits of another script": "[(１,２)]",
    "a number of 5000 digits": f"[({'1' * 5000},2)]",
    "nested lists": "[" * 5000 + "]" * 5000,
    "a tail": '{"(1,2)"} DROP TABLE images',
    "half cut": '{"(1,2)","(30,4',
    "JSON of objects": '[{"x":1,"y":2}]',
    "two lists": "{'x':[1],'y':[2]}",
    "spaces without end": "{" + " " * 100_000 + "x",
    "NULL": "NULL",
}

CLICKS = {
    **pictures("images", (64, 64)),
    **{f"clicks: {what}": _row(text) for what, text in _MALFORMED.items()},
    "click negative": _row('{"(-90,2)","(30,40)","(5,6)"}', **_OUTSIDE),
    "click outside": _row('{"(900,2)","(30,40)","(5,6)"}', **_OUTSIDE),
    "click of 1e300": _row('{"(1e300,2)","(30,40)","(5,6)"}', **_OUTSIDE),
    "click of NaN": _row('{"(nan,2)","(30,40)","(5,6)"}', **_NOT_FINITE),
    "click of inf": _row('{"(inf,2)","(30,40)","(5,6)"}', **_NOT_FINITE),
    "no clicks": _row("{}", allowed=LEFT_OUT, said="removed 1 submissions of fewer than 2 clicks"),
    "path that leads out": _row(path="../../../etc/passwd", **_ABSENT),
    "path absolute": _row(path="/etc/passwd", **_ABSENT),
    "path with NUL": _row(
        path="dog/d1\0.jpg", **{"allowed": LEFT_OUT | NAMED, "said": "removed 1"}
    ),
    "path empty": _row(path=""),
    "user empty": _row(user=""),
    "score of text": _row(rest="1,good,False"),
    "time of text": _row(rest="noon,1.0,False"),
    "time without end": _row(rest="inf,1.0,False"),
    "phone of text": _row(rest="1,1.0,maybe"),
    "cell too few": _row(rest="1,1.0"),
    "cell too many": _row(rest="1,1.0,False,x"),
    "quote open": line(_CSV, 3, '"imagenet/train/dog/d1.jpg,"{""(1,2)""}",u1,1,1.0,False', "line"),
    "huge field": _row(user="u" * 200_000),
    "column gone": line(_CSV, 1, _HEAD.replace("clicks", "click"), "columns clicks"),
    "column twice": line(_CSV, 1, _HEAD.replace("timestamp", "clicks"), "clicks"),
    "header gone": line(_CSV, 1, "x", "columns"),
    "header alone": file(_CSV, _HEAD + "\n", "submission"),
    "UTF-16": file(_CSV, f"{_HEAD}\n".encode("utf-16")),
    "Latin-1": line(_CSV, 3, "imagenet/dög/d1.jpg,{},u,1,1.0,False", "line", encoding="latin-1"),
    "image of another class": line(
        _CSV, 3, 'imagenet/n01440764/d1.jpg,"{}",u1,1,1.0,False', allowed=NAMED | LEFT_OUT
    ),
    "file gone": gone(_CSV),
}


def _texts(name):
    return {
        "JSON cut in the middle": lambda root, rng: _half(root, name),
        "JSON of NaN": file(name, '{"images": [NaN]}'),
        "JSON nested without end": file(name, '{"images": ' + "[" * 300_000),
        "JSON a number without end": file(name, '{"images": [{"id": ' + "9" * 300_000 + "}]}"),
        "JSON a list": file(name, "[]"),
        "JSON of a list": file(name, '{"images": [[]]}', r"images\[0\]"),
        "JSON twice": lambda root, rng: _twice(root, name),
        "JSON in UTF-16": file(name, '{"images": []}'.encode("utf-16")),
    }


def _half(root, name):
    data = (root / name).read_bytes()
    (root / name).write_bytes(data[: len(data) // 2])
    return Damage(name, "character")


def _twice(root, name):
    data = (root / name).read_bytes()
    (root / name).write_bytes(data + data)
    return Damage(name, "", NAMED | {"harmless"})


def _image(name, **changes):
    """Entry 1 of `images`."""
    return json_file(name, lambda d: d["images"][1].update(changes), ENTRY)


def _names(name):
    """Tricks with file names; the second image's."""
    return {
        "name leads out": _image(name, file_name="../../x.jpg"),
        "name absolute": _image(name, file_name="/etc/passwd"),
        "name with a drive": _image(name, file_name="C:\\x.jpg"),
        "name with a scheme": _image(name, file_name="http://x/x.jpg"),
        "name with NUL": _image(name, file_name="x\0.jpg"),
        "name of a number": _image(name, file_name=7),
        "name empty": _image(name, file_name=""),
        "name gone": json_file(name, lambda d: d["images"][1].pop("file_name"), "image id"),
        "size of another image": _image(name, height=25),
        "size huge": _image(name, height=10**9, width=10**9),
        "size negative": _image(name, height=-24),
        "size of text": _image(name, height="24"),
        "image id twice": json_file(name, lambda d: d["images"].append(d["images"][1]), "id"),
        "image id of text": _image(name, id="nine"),
        "image id of 100 digits": _image(name, id=10**100),
        "images gone": json_file(name, lambda d: d.pop("images"), ENTRY),
        "annotation twice": json_file(
            name, lambda d: d["annotations"].append(d["annotations"][0]), "id"
        ),
        "annotation of no image": json_file(
            name, lambda d: d["annotations"][0].update(image_id=77), "annotation id"
        ),
        "annotation of an image of text": json_file(
            name, lambda d: d["annotations"][0].update(image_id="9"), "annotation id"
        ),
        "annotation without id": json_file(
            name, lambda d: d["annotations"][0].pop("id"), "annotations"
        ),
    }


_FIXATIONS = "annotations/fixations_train2014.json"


def _fixations(value):
    return json_file(_FIXATIONS, lambda d: d["annotations"][1].update(fixations=value), "id 2")


SALICON_JSON = {
    **pictures("images"),
    **_texts(_FIXATIONS),
    **_names(_FIXATIONS),
    "fixation at 0": _fixations([[0, 5]]),
    "fixation negative": _fixations([[5, -5]]),
    "fixation outside": _fixations([[25, 5]]),
    "fixation as [x, y]": _fixations([[32, 24]]),
    "fixation of fractions": _fixations([[1.5, 2]]),
    "fixation of NaN": _fixations([[float("nan"), 2]]),
    "fixation of text": _fixations([["1", 2]]),
    "fixation of three": _fixations([[1, 2, 3]]),
    "fixation of 40 digits": _fixations([[10**40, 2]]),
    "fixations of text": _fixations("1,2"),
    "fixations gone": _fixations(None),
    "worker of a list": json_file(
        _FIXATIONS, lambda d: d["annotations"][1].update(worker_id=[1]), "id 2"
    ),
}

_INSTANCES = "annotations/instances_train2017.json"


def _object(place="id 11", number=1, **changes):
    """An annotation; number 1 has run lengths, 0 a polygon, 2 compressed run lengths."""
    return json_file(_INSTANCES, lambda d: d["annotations"][number].update(changes), place)


def _lengths(**changes):
    return json_file(
        _INSTANCES, lambda d: d["annotations"][1]["segmentation"].update(changes), "id 11"
    )


def _text(counts):
    return json_file(
        _INSTANCES, lambda d: d["annotations"][2]["segmentation"].update(counts=counts), "id 51"
    )


def _polygon(*coordinates):
    return _object("id 21", 3, segmentation=[list(coordinates)])


COCO = {
    **pictures("train2017"),
    **_texts(_INSTANCES),
    **_names(_INSTANCES),
    "run lengths of a huge size": _lengths(size=[10**6, 10**6], counts=[10**12]),
    "run lengths of a huge run": _lengths(counts=[10**12]),
    "run lengths of a run of 2^70": _lengths(counts=[2**70]),
    "run lengths negative": _lengths(counts=[-5, 773]),
    "run lengths one short": _lengths(counts=[767]),
    "run lengths of fractions": _lengths(counts=[767.0, 1.0]),
    "run lengths of text": _lengths(counts=["768"]),
    "run lengths turned": _lengths(size=[32, 24]),
    "run lengths gone": _lengths(counts=None),
    "compressed run lengths of noise": _text("zzzz~~~"),
    "compressed run lengths without end": _text("o" * 100_000),
    "compressed run lengths cut": _text("Wo"),
    "compressed run lengths empty": _text(""),
    "compressed run lengths of a huge run": _text("ooooooo0"),
    "polygon of NaN": _polygon(1, 2, float("nan"), 4, 5, 6),
    "polygon of 1e400": _polygon(1, 2, float("inf"), 4, 5, 6),
    "polygon of text": _polygon(1, 2, "3", 4, 5, "x"),
    "polygon of two corners": _polygon(1, 2, 3, 4),
    "polygon of an odd number": _polygon(1, 2, 3, 4, 5, 6, 7),
    "polygon of 40 digits": _polygon(1, 2, 10**400, 4, 5, 6),
    "polygon of a million corners": _polygon(*([0, 0, 5, 24] * 250_000)),
    "segmentation of text": _object(segmentation="all"),
    "segmentation gone": _object(segmentation=None),
    "box of three": _object(bbox=[1, 2, 3]),
    "box of NaN": _object(bbox=[1, 2, float("nan"), 4]),
    "area negative": _object(area=-5),
    "area of NaN": _object(area=float("nan")),
    "area of text": _object(area="5"),
    "category gone": _object(category_id=None),
    "category unknown": _object(category_id=99),
    "category of 100 digits": _object(category_id=10**100),
    "category of two names": json_file(
        _INSTANCES, lambda d: d["categories"].append({"id": 1, "name": "cat"}), "category 1"
    ),
    "categories gone": json_file(_INSTANCES, lambda d: d.pop("categories"), "categor"),
}

_MAT = "fixations/train/COCO_train2014_000000000009.mat"


def _mat(points=((1, 2),), fields=("location", "timestamp", "fixations"), place="gaze", **others):
    gaze = np.empty((1, 1), [(name, "O") for name in fields])
    for name in fields:
        gaze[name][0, 0] = np.asarray(points)
    buffer = io.BytesIO()
    savemat(buffer, others or {"gaze": gaze}, do_compression=True)
    return file(_MAT, buffer.getvalue(), place)


def _mat_bomb():
    """A compressed variable that unpacks to two gigabytes."""
    packed = b"\x78\x9c" + deflated_zeros(2048)
    head = b"MATLAB 5.0".ljust(124) + b"\x00\x01IM"
    return head + len(packed).to_bytes(4, "little").join([b"\x0f\0\0\0", b""]) + packed


_MOVED = {"allowed": LEFT_OUT, "said": "1 of 2 points lie outside the image.*moved"}

SALICON_MAT = {
    **pictures("images"),
    "points of NaN": _mat(((1, np.nan),)),
    "points of inf": _mat(((1, np.inf),)),
    "points of three": _mat(((1, 2, 3),)),
    "points of text": _mat((("a", "b"),)),
    "points of complex numbers": _mat(((1j, 2),)),
    "field gone": _mat(fields=("location", "timestamp")),
    "gaze gone": _mat(other=np.ones(3)),
    "gaze is a number": _mat(gaze=np.ones(3)),
    "version 7.3": file(_MAT, b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n"),
    "version 4": file(_MAT, bytes(20) + b"gaze\0" + bytes(200)),
    "a bomb": file(_MAT, _mat_bomb()),
    "point negative": told_as(_mat(((-50, 2), (3, 4)), place=""), **_MOVED),
    "point outside": told_as(_mat(((900, 2), (3, 4)), place=""), **_MOVED),
    "image gone": gone("images/train/COCO_train2014_000000000025.jpg"),
}

_PNG = "maps/train/COCO_train2014_000000000009.png"

SALICON_MAPS = {
    **pictures("images"),
    "map is a PNG bomb": file(_PNG, png_bomb()),
    "map is PostScript": file(_PNG, EPS),
    "map in colour": file(_PNG, imagenet.picture(5, file_format="PNG")),
    "map of other proportions": file(_PNG, as_png(np.ones((24, 24), np.uint8))),
    "map with a palette": file(_PNG, imagenet.picture(5, mode="P", file_format="PNG")),
    "image gone": gone("images/COCO_train2014_000000000025.jpg"),
}
