"""Image files that a list names: the name checked before it becomes a path, the file read."""

import os
import posixpath

import tensorflow as tf

from gala_tf.data.images import BadImageError


def relative_name(name, where: str) -> str:
    """A name from a list as a relative path with "/", once it is safe to open below a root.

    Args:
      where: file and record, for the message.

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
    path = os.path.join(root, name)
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
        if tf.io.gfile.exists(os.path.join(root, folder, first)):
            return folder
    places = ", ".join(repr(folder or ".") for folder in tried)
    raise ValueError(
        f"{where} lists {first!r}, but no such file is under --input_dir={root!r} in {places}. "
        "Unpack the images into one of these folders."
    )
