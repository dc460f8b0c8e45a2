"""What a build left out, by reason: counted on the screen, and named, all of it, in a file.

    left_out.txt    # 2 files are neither images nor maps
                    my_images/cat/notes.doc
                    my_images/readme.md

The file lies beside the shards, and is not there if nothing was left out.
"""

import os

import tensorflow as tf

from data_prep.building.duplicates import Duplicates
from data_prep.building.shards import Said
from gala_tf.data import files

FILE = "left_out.txt"


def by_reason(listed: dict[str, list[str]], said: Said, found: Duplicates) -> dict[str, list[str]]:
    """Why, in words that follow a number -> what is left out, a line each."""
    across = [
        f"{name} ({split}) = {keeper} ({there})" for name, split, keeper, there in found.across
    ]
    return {
        why: lines
        for why, lines in {
            **listed,
            "images are damaged": said.bad,
            "maps cannot be used; their images stay": said.bad_maps,
            "images show a picture that is in another split": across,
        }.items()
        if lines
    }


def write(output_dir: str, listed: dict[str, list[str]], said: Said, found: Duplicates) -> None:
    """Prints how many of what, and writes the file that names all."""
    path = os.path.join(output_dir, FILE)
    left_out = by_reason(listed, said, found)
    if not left_out:
        if tf.io.gfile.exists(path):
            tf.io.gfile.remove(path)  # of the data set that was here before
        return
    files.write(path, text(left_out))
    print(f"left out (all names: {path}):")
    for why, lines in left_out.items():
        print(f"  {len(lines):,} {why}")


def text(left_out: dict[str, list[str]]) -> str:
    """A heading a reason, and all that it left out below it."""
    return "\n".join(
        line for why, lines in left_out.items() for line in (f"# {len(lines)} {why}", *lines, "")
    )
