"""Image files: by what endings they are found; those that a list names, checked and read."""

import os
import posixpath
import unicodedata
from collections.abc import Callable, Iterator

import tensorflow as tf

from data_prep.readers import file_names, listing
from gala_tf.data.images import SUFFIXES, BadImageError

PHOTOGRAPHS = frozenset((".jpg", ".jpeg", ".jpe", ".jfif", ".webp"))  # lossy formats


def suffix(name: str) -> str:
    """The ending of a file's name, in small letters."""
    return os.path.splitext(name)[1].lower()


def is_image(name: str) -> bool:
    """Whether a file is an image by its name; hidden ones, as a Mac leaves behind, are none."""
    return suffix(name) in SUFFIXES and not os.path.basename(name).startswith(".")


def relative_name(name, where: str) -> str:
    """A name from a list as a relative path with "/", once it is safe to open below a root.

    `where`: file and record, for the message.

    ValueError: not text, empty, absolute, with a drive or a scheme, leading out of the root, or
    with control characters.
    """
    if isinstance(name, str) and name.strip():
        path = posixpath.normpath(name.replace("\\", "/"))
        parts = path.split("/")
        if name.isprintable() and ":" not in path and parts[0] not in ("", ".", ".."):
            return path
    raise ValueError(
        f"{where}: image name {name!r:.200} must be the path of a file below the images' folder: "
        'relative, without "..", ":" or control characters. Correct the list.'
    )


def read_image(root: str, name: str, where: str) -> bytes:
    """The bytes of the image `name`, a `relative_name`, below `root`; local or gs://.

    BadImageError: it is not there, or empty; `where` names the list that has it.
    """
    path = file_names.on_disk(root, name)
    try:
        with tf.io.gfile.GFile(path, "rb") as file:
            data = file.read()
    except (tf.errors.NotFoundError, tf.errors.FailedPreconditionError) as error:
        raise BadImageError(
            f"Image {path!r} does not exist, but {where} lists it. Fetch it, or take it off the "
            "list."
        ) from error
    if not data:
        raise BadImageError(f"Image {path!r} is empty (0 bytes). Fetch it again.")
    return data


def images_folder(root: str, candidates, first: str, where: str) -> str:
    """The first of `candidates`, folders below `root`, that holds the image `first`.

    Returns a path relative to `root`; "" is `root` itself. ValueError: none does; the message lists
    the places.
    """
    tried = list(dict.fromkeys(candidates))
    for folder in tried:
        if tf.io.gfile.exists(file_names.on_disk(root, os.path.join(folder, first))):
            return folder
    places = ", ".join(repr(folder or ".") for folder in tried)
    raise ValueError(
        f"{where} lists {first!r}, but no such file is under --input_dir={root!r} in {places}. "
        "Unpack the images into one of these folders."
    )


def below(root: str, folder: str) -> Iterator[str]:
    """Names of the images in `folder` and all folders inside, relative to `root`; local or gs://."""
    for place, names in file_names.walk(os.path.join(root, folder)):
        relative = posixpath.relpath(place.rstrip("/"), root.rstrip("/") or ".")
        for name in filter(is_image, names):
            yield name if relative == "." else f"{relative}/{name}"


def leave_out_unlisted(root: str, folder: str, is_listed: Callable[[str], bool]) -> None:
    """Says which images below `folder` no list names; composed or not, a name is the same."""
    lone = [
        name
        for name in below(root, folder)
        if not any(is_listed(unicodedata.normalize(form, name)) for form in ("NFC", "NFD"))
    ]
    listing.leave_out("image files are on no list", lone)
