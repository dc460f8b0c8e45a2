"""Input that could be lost without a word: other formats, strange places, hidden colours."""

import os
import re

import numpy as np
from fake_trees import write_image, write_map
from faults.people import DONE, LEFT_OUT, REFUSED, Case, material
from faults.trees import TREES
from PIL import Image

from gala_tf.data import dataset_info

FORMATS = {".webp": "WEBP", ".bmp": "BMP", ".gif": "GIF", ".tif": "TIFF", ".tiff": "TIFF"}
FORMATS |= {".jfif": "JPEG", ".JPG": "JPEG", ".PNG": "PNG", ".Jpeg": "JPEG", ".jpe": "JPEG"}


def _case(change, lost=None, allowed=(DONE, LEFT_OUT, REFUSED), named="", **more):
    """`photographs` changed; where it is done without a word, nothing may be missing."""

    def make(folder, rng):
        material.photographs(folder)
        words = change(folder)
        return material.build(folder, *(words or ()))

    return Case(make, allowed, named, lost or material.all_there(), **more)


def _images(suffix, some):
    def change(folder):
        for path in sorted((folder / "images").rglob("*.jpg"))[: some or None]:
            Image.open(path).save(path.with_suffix(suffix), FORMATS[suffix])
            path.unlink()

    return _case(change, named=f"{suffix}|no JPEG|input_dir")


def _maps(suffix, some):
    def change(folder):
        for path in sorted((folder / "maps").rglob("*.png"))[: some or None]:
            Image.open(path).save(path.with_suffix(suffix), FORMATS[suffix])
            path.unlink()

    return _case(change, named=f"{suffix}|maps_dir")


def _more(name, write, named=None, **more):
    """One more file, which is no image of this data set, or is one."""

    def change(folder):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write(path)

    named = named or path_pattern(name)
    return _case(change, material.all_there(11, 10), (LEFT_OUT, REFUSED, DONE), named, **more)


def path_pattern(name):
    return os.path.basename(name).replace(".", r"\.")


def _picture(form):
    return lambda path: Image.new("RGB", (32, 24), (9, 99, 9)).save(path, form)


def _text(path):
    path.write_text("these are my pictures\n")


CASES = {}
for suffix in FORMATS:
    for some, words in ((0, "all"), (2, "two")):
        CASES[f"images as {suffix}, {words}"] = _images(suffix, some)
        if suffix not in (".jpe", ".Jpeg"):
            CASES[f"maps as {suffix}, {words}"] = _maps(suffix, some)

OTHERS = {
    "images/ant/batch2/9.jpg": _picture("JPEG"),
    "images/ant/batch2/deep/9.jpg": _picture("JPEG"),
    "images/9.jpg": _picture("JPEG"),
    "images/ant/notes.txt": _text,
    "images/ant/9.heic": _text,
    "images/ant/9.svg": _text,
    "images/ant/9": _picture("JPEG"),
    "images/ant/9.jpg.part": _picture("JPEG"),
    "images/ant/9.avif": _text,
    "images/ant/9.mp4": _text,
    "images/ant/9.zip": _text,
    "images/ant/9.pdf": _text,
    "images/ant/9.CR2": _text,
    "images/ant/9.jpg.bak": _text,
}
for name, write in OTHERS.items():
    CASES[f"one more: {name}"] = _more(name, write)
for name in (
    "maps/ant/9.png",
    "maps/ant/99.png",
    "maps/cat/0.png",
    "maps/0.png",
    "maps/ant/deep/0.png",
    "maps/ant/0_map.png",
):
    CASES[f"a map of no image: {name}"] = _more(
        name, lambda path: write_map(path, material.gradient())
    )


def _system_files(folder):
    """What systems leave behind; nobody misses it."""
    for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._0.jpg"):
        (folder / "images/ant" / name).write_bytes(b"\0\5\x16\7")
        (folder / "maps/ant" / name).write_bytes(b"\0\5\x16\7")


CASES["files of the system"] = _case(_system_files, named="Thumbs|desktop|_Store")


def _link(target):
    def change(folder):
        os.symlink(target.format(folder=folder), folder / "images/ant/9.jpg")

    return _case(change, material.all_there(11, 10), (LEFT_OUT, REFUSED, DONE), r"9\.jpg")


CASES["a link to nowhere"] = _link("{folder}/moved/9.jpg")
CASES["a link to itself"] = _link("{folder}/images/ant/9.jpg")
CASES["a link to a folder"] = _link("{folder}/images/bee")


def _folder_of_links(folder):
    os.rename(folder / "images/bee", folder / "elsewhere")
    os.symlink(folder / "elsewhere", folder / "images/bee")


CASES["a class that is a link"] = _case(_folder_of_links, named="bee")


def _class_link_broken(folder):
    os.symlink(folder / "moved", folder / "images/cat")


CASES["a class that is a broken link"] = _case(
    _class_link_broken, lambda folder: "the class cat is gone", named="cat"
)


def _empty_class(folder):
    (folder / "images/cat").mkdir()


CASES["a class without images"] = _case(_empty_class, lambda f: "cat is gone", named="cat")


def _named_as_folder(folder):
    (folder / "images/ant/9.jpg").mkdir()


CASES["a folder named as an image"] = _case(
    _named_as_folder, lambda folder: "", (LEFT_OUT, REFUSED, DONE), r"9\.jpg"
)


def _hidden_colours(folder):
    """Two equal-looking pictures of other colours under transparency, in two classes."""
    rng = np.random.default_rng(1)
    for name in ("images/ant/9.png", "images/bee/9.png"):
        pixels = rng.integers(0, 255, (24, 32, 4), dtype=np.uint8)
        pixels[..., 3] = 0
        pixels[8:16, 8:24] = (200, 10, 10, 255)
        Image.fromarray(pixels).save(folder / name)


def _same_pixels(folder):
    from fake_trees import read

    rows = [row for part in read(folder / "out").values() for row in part]
    found = {bytes(row["image/encoded"]) for row in rows if b"9.png" in row["image/id"]}
    return "" if len(found) == 1 else "hidden colours were stored"


CASES["hidden colours"] = _case(_hidden_colours, _same_pixels, named="same picture|9.png")


def _mode(mode, suffix=".png"):
    def change(folder):
        (folder / "images/ant/0.jpg").unlink()
        image = Image.fromarray(np.random.default_rng(3).integers(0, 255, (24, 32, 3), np.uint8))
        image.convert(mode).save(folder / f"images/ant/0{suffix}")

    return _case(change, named=r"0\.\w+")


for mode in ("1", "L", "LA", "P", "RGBA", "I;16", "I"):
    if mode not in ("I;16",):
        CASES[f"an image of mode {mode}"] = _mode(mode)
CASES["an image of mode CMYK"] = _mode("CMYK", ".jpg")


def _map_beside(suffix):
    """Maps beside the images instead of in a tree of their own."""

    def make(folder, rng):
        material.photographs(folder)
        for path in sorted((folder / "maps").rglob("*.png")):
            Image.open(path).save(folder / "images" / path.parent.name / (path.stem + suffix))
        return material.build(folder, maps=False)

    return Case(make, (DONE, LEFT_OUT, REFUSED), rf"{suffix}|0\.", material.all_there())


for suffix in (".png", ".PNG", ".bmp", ".tif", ".webp"):
    CASES[f"maps beside images as {suffix}"] = _map_beside(suffix)
for proportions in ("0.9,0.05,0.05", "8,1,1", "98,1,1"):

    def change(folder, proportions=proportions):
        return [f"--split_proportions={proportions}"]

    def both_evaluations(folder):
        from gala_tf.data import dataset_info

        splits = dataset_info.load_info(str(folder / "out")).splits
        return "" if {"validation", "test"} <= {*splits} else f"only {sorted(splits)}"

    CASES[f"ten images in {proportions}"] = _case(
        change, both_evaluations, named="validation|split_proportions"
    )


def _unlisted(tree, name):
    """One more image beside those that a list names, or one whose name nothing can hold."""

    def make(folder, rng):
        kind, root = TREES[tree], folder / "in"
        root.mkdir()
        kind.write(root)
        path = root / "9.jpg"
        write_image(path, 999, 64, 64)
        os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
        os.rename(path, os.path.join(root, name))
        options = {"input_dir": "{root}"} | kind.options
        words = [f"--{key}={str(text).format(root=root)}" for key, text in options.items()]
        quick = [word for word in material.QUICK if word.split("=")[0][2:] not in options]
        output = f"--output_dir={folder}/out"
        return [material.BUILD, f"--source={kind.source}", output, *quick, *words]

    shown = (
        os.path.basename(name).encode(errors="surrogateescape").decode(errors="backslashreplace")
    )
    return Case(make, (LEFT_OUT,), re.escape(shown), lambda folder: "")


NO_UTF8 = os.fsdecode(b"caf\xe9.jpg")
for tree, place in (("boxes", "cat"), ("coco", "train2017"), ("tiny_imagenet", "val/images")):
    for name in ("cr\u00e8me.jpg", "deep/9.png", NO_UTF8):
        shown = ascii(name)[1:-1]
        CASES[f"{tree}, an image on no list: {shown}"] = _unlisted(tree, f"{place}/{name}")


def _pipe(folder):
    os.mkfifo(folder / "images/ant/9.jpg")


CASES["a pipe among images"] = _case(_pipe, lambda folder: "", (LEFT_OUT,), r"9\.jpg")


def _moved(pattern, maps=""):
    """The images (and maps) in other folders: {c} the class, {s} or {S} a split, {i} the number."""

    def change(folder):
        for kind, form in {"images": pattern, "maps": maps}.items():
            for path in sorted((folder / kind).rglob("*.*")) if form else ():
                split = ("train", "train", "train", "validation", "test")[int(path.stem)]
                words = {"c": path.parent.name, "s": split, "S": split.upper(), "i": path.stem}
                target = folder / kind / f"{form.format(**words)}{path.suffix}"
                target.parent.mkdir(parents=True, exist_ok=True)
                os.rename(path, target)
            for path in sorted((folder / kind).rglob("*"), reverse=True):
                if path.is_dir() and not any(path.iterdir()):
                    path.rmdir()

    return change


def _two_classes(folder):
    found = dataset_info.load_info(str(folder / "out")).class_names
    return material.all_there()(folder) or ("" if found == ("ant", "bee") else f"classes {found}")


for above in ("{s}", "{S}", "{s}ing"):  # the last are split folders in part
    pattern = above + "/{c}/{i}"
    CASES[f"splits in folders, {above}"] = _case(
        _moved(pattern, pattern), _two_classes, named="ing"
    )
CASES["splits below classes"] = _case(
    _moved("{c}/{s}/{i}", "{c}/{s}/{i}"), _two_classes, named="splits"
)
CASES["a folder too many"] = _case(_moved("all/{c}/{i}", "all/{c}/{i}"), _two_classes, named="all")
CASES["a folder of no maps"] = _case(
    lambda folder: [path.unlink() for path in (folder / "maps").rglob("*.png")] and None,
    allowed=(REFUSED,),
    named="--maps_dir.* holds no map",
)
CASES["maps that are the images"] = _case(
    lambda folder: ["--maps_dir=images"], allowed=(REFUSED,), named="--maps_dir"
)


def _hidden(name):
    def change(folder):
        (folder / name).parent.mkdir(exist_ok=True)
        write_image(folder / name, 999)

    return _case(change, allowed=(LEFT_OUT,), named=name.split("/")[-2])


def _frames(folder):
    image = Image.open(folder / "maps/ant/0.png")
    (folder / "maps/ant/0.png").unlink()
    other = image.point(lambda value: 255 - value)
    image.save(folder / "maps/ant/0.gif", save_all=True, append_images=[other])


CASES["a map of two frames"] = _case(_frames, allowed=(REFUSED,), named=r"0\.gif.* 2 frames")
for name in ("images/.cat/0.jpg", "images/ant/.thumbs/0.jpg", "images/__MACOSX/0.jpg"):
    CASES[f"hidden: {name}"] = _hidden(name)
