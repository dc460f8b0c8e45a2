"""One bad item among sound ones: by every policy, and told beforehand by --dry_run."""

import json

import numpy as np
from faults.people import DONE, LEFT_OUT, REFUSED, Case, material
from PIL import Image


def _long(folder):
    (folder / "images/ant/0.jpg").unlink()
    (folder / "maps/ant/0.png").unlink()
    Image.new("RGB", (66_000, 2), (9, 9, 9)).save(folder / "images/ant/0.png")


def _bytes(data):
    def damage(folder):
        (folder / "images/ant/0.jpg").write_bytes(data(folder))

    return damage


def _cut(folder):
    data = (folder / "images/bee/0.jpg").read_bytes()
    return data[: len(data) // 3]


IMAGES = {
    "longer than JPEG allows": _long,
    "empty": _bytes(lambda folder: b""),
    "cut": _bytes(_cut),
    "a page of HTML": _bytes(lambda folder: b"<!doctype html><title>404</title>"),
    "a pointer of Git LFS": _bytes(lambda f: b"version https://git-lfs.github.com/spec/v1\n"),
    "zeros": _bytes(lambda folder: bytes(2000)),
    "noise": _bytes(lambda folder: np.random.default_rng(0).bytes(2000)),
}


def _npy(make):
    def damage(folder):
        (folder / "maps/ant/0.png").unlink()
        np.save(folder / "maps/ant/0.npy", make(material.gradient().astype(float)))

    return damage


def _png(make):
    def damage(folder):
        make(material.gradient()).save(folder / "maps/ant/0.png")

    return damage


def _map_bytes(data):
    return lambda folder: (folder / "maps/ant/0.png").write_bytes(data)


MAPS = {
    "of NaN": _npy(lambda m: m * np.nan),
    "with one NaN": _npy(lambda m: np.where(m == m.max(), np.nan, m)),
    "infinite": _npy(lambda m: np.where(m == 0, np.inf, m)),
    "negative": _npy(lambda m: m - 5),
    "of other proportions": _npy(lambda m: m[:, :7]),
    "a row": _npy(lambda m: m.ravel()),
    "of four axes": _npy(lambda m: np.tile(m, (2, 3, 1, 1))),
    "of text": _npy(lambda m: np.array(["a", "b"])),
    "of objects": _npy(lambda m: np.array([None, {}], dtype=object)),
    "of complex numbers": _npy(lambda m: m + 1j),
    "of nobody": _npy(lambda m: m[None][:0]),
    "empty": _map_bytes(b""),
    "HTML": _map_bytes(b"<html>"),
    "cut": _map_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"),
    "a colour photograph": _png(
        lambda m: Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8))
    ),
}
SOUND = {
    "(H, W, 1)": _npy(lambda m: m[..., None]),
    "of truth values": _npy(lambda m: m > 40),
    "of zeros": _npy(lambda m: m * 0),
    "of float16": _npy(lambda m: m.astype(np.float16)),
    "of 8-byte integers": _npy(lambda m: m.astype(np.int64)),
    "in Fortran order": _npy(np.asfortranarray),
    "of big-endian numbers": _npy(lambda m: m.astype(">i4")),
    "of a palette": _png(lambda m: Image.fromarray(m).convert("P")),
    "of 16 bits": _png(lambda m: Image.fromarray(m.astype(np.uint16) * 99)),
    "grey, as RGB": _png(lambda m: Image.fromarray(m).convert("RGB")),
    "grey with alpha": _png(lambda m: Image.fromarray(m).convert("LA")),
    "twice as large": _npy(lambda m: np.kron(m, np.ones((2, 2)))),
}


def _case(damage, allowed, *words, lost=None, named=r"0\.(jpg|png|npy)", writes=("out",)):
    def make(folder, rng):
        material.photographs(folder)
        damage(folder)
        return material.build(folder, *words)

    return Case(make, allowed, named, lost or material.all_there(), writes=writes)


def _without(images, maps):
    """Left out, so that this many are there, or taken after all."""

    def lost(folder):
        found = material.counted(folder)
        return "" if found == (images, maps) else f"{found} images and maps, not {(images, maps)}"

    return lost


DRY = ("--dry_run",)
CASES = {}
for name, damage in IMAGES.items():
    CASES[f"image {name}, fail"] = _case(damage, (REFUSED,))
    CASES[f"image {name}, skip"] = _case(
        damage, (LEFT_OUT,), "--on_bad_image=skip", lost=_without(9, 9)
    )
    CASES[f"image {name}, dry run"] = _case(
        damage, (REFUSED, LEFT_OUT), *DRY, lost=lambda folder: "", writes=()
    )
for name, damage in MAPS.items():
    CASES[f"map {name}, fail"] = _case(damage, (REFUSED,))
    CASES[f"map {name}, skip"] = _case(
        damage, (LEFT_OUT,), "--on_bad_map=skip", lost=lambda folder: ""
    )
    CASES[f"map {name}, dry run"] = _case(
        damage, (REFUSED, LEFT_OUT), *DRY, lost=lambda folder: "", writes=()
    )
for name, damage in SOUND.items():
    CASES[f"map {name}"] = _case(damage, (DONE,), lost=None if name != "of zeros" else lambda f: "")


def _several(folder):
    """One of each policy's kind, in different shards."""
    (folder / "images/ant/1.jpg").write_bytes(b"")
    (folder / "images/bee/3.jpg").write_bytes(b"<html>")
    (folder / "maps/bee/2.png").unlink()
    np.save(folder / "maps/bee/2.npy", np.full((24, 32), np.nan))


ALL_OF_THEM = r"(?s)(?=.*ant/1\.jpg)(?=.*bee/3\.jpg)(?=.*bee/2\.npy)"
CASES["several faults, dry run"] = _case(
    _several, (REFUSED, LEFT_OUT), *DRY, named=ALL_OF_THEM, lost=lambda folder: "", writes=()
)
CASES["several faults, skip"] = _case(
    _several,
    (LEFT_OUT,),
    "--on_bad_image=skip",
    "--on_bad_map=skip",
    named=ALL_OF_THEM,
    lost=lambda folder: "",
)
CASES["nothing wrong, dry run"] = _case(
    lambda folder: None, (DONE,), *DRY, lost=lambda folder: "", writes=()
)
CASES["both policies, nothing wrong"] = _case(
    lambda folder: None, (DONE,), "--on_bad_image=skip", "--on_bad_map=skip"
)


def _edited(command, path, change, named):
    """A file of a data set or a run that somebody edited: named, with what is wrong in it."""

    def make(folder, rng):
        material.data_set(folder / "data")
        material.run(folder / "run")
        (folder / path).write_bytes(change((folder / path).read_bytes()))
        return {
            "train": lambda: material.training(folder / "data", folder / "out"),
            "verify": lambda: [material.VERIFY, f"{folder}/data", f"--output_dir={folder}/out"],
            "reliability": lambda: [material.RELIABILITY, f"{folder}/data"],
            "report": lambda: [
                material.REPORT,
                f"--runs={folder}/run",
                f"--output_dir={folder}/out",
            ],
            "evaluate": lambda: [material.EVALUATE, f"--model_dir={folder}/run"],
            "visualize": lambda: [material.VISUALIZE, f"--model_dir={folder}/run"],
            "export": lambda: [
                material.EXPORT,
                f"--model_dir={folder}/run",
                f"--output_dir={folder}/out",
            ],
        }[command]()

    return Case(make, (REFUSED,), named, writes=("out",))


def _field(name, value):
    def change(content):
        return json.dumps(json.loads(content) | {name: value}).encode()

    return change


EDITS = {
    "no text": lambda content: b"\xff\xfe" + content,
    "null": lambda content: b"null",
    "a list": lambda content: b"[1, 2]",
    "cut": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
}
SIDECAR = EDITS | {
    f"{name} of another type": _field(name, value)
    for name, value in {"class_names": 5, "splits": [], "image": 0, "human_ceiling": 1}.items()
}
for name, change in SIDECAR.items():
    for command in ("train", "verify", "reliability"):
        CASES[f"dataset_info.json, {name}, {command}"] = _edited(
            command, "data/dataset_info.json", change, "dataset_info.json"
        )
for name, change in EDITS.items():
    for command in ("evaluate", "visualize", "export", "report"):
        for file in ("run.flags", "trained_on.json"):
            CASES[f"{file}, {name}, {command}"] = _edited(command, f"run/{file}", change, file)
    for file in ("results-test.json", "per_image-test.csv"):
        CASES[f"{file}, {name}, report"] = _edited("report", f"run/{file}", change, file)
CASES["metrics.jsonl, no text, report"] = _edited(
    "report", "run/metrics.jsonl", EDITS["no text"], "metrics.jsonl, line 1"
)
