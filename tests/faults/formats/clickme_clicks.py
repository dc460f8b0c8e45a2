"""Raw clicks as ClickMe 2.0 exports them: what src/utils.py of serre-lab's
human_clickme_data_processing and the co3d clickme.py read.

The CSV files are database exports: the csv module's minimal quoting is theirs and pandas'. The NPZ
files come from np.savez of a table whose cells are lists of unequal length, that is, of arrays of
Python objects. Both from the code that reads them; the files themselves were not at hand.
"""

import csv

import numpy as np


def postgres_text(clicks):
    """An array of text, as PostgreSQL prints it: {"(1,2)","(3,4)"}."""
    return "{" + ",".join(f'"({x},{y})"' for x, y in clicks) + "}"


def unquoted_text(clicks):
    """The same without quotes: {(1,2),(3,4)}; the co3d reader takes both."""
    return "{" + ",".join(f"({x},{y})" for x, y in clicks) + "}"


def python_text(clicks):
    """What pandas writes for a list of tuples: [(1, 2), (3, 4)]."""
    return str([tuple(click) for click in clicks])


FORMS = {"postgres": postgres_text, "unquoted": unquoted_text, "python": python_text}


def write_csv(path, rows, form="postgres", columns=("image_path", "clicks", "user_id")):
    """rows: dicts; `clicks` a list of (x, y), or text to be written as it is."""
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n", extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            clicks = row["clicks"]
            text = clicks if isinstance(clicks, str) else FORMS[form](clicks)
            writer.writerow(row | {"clicks": text})


def _objects(values):
    array = np.empty(len(values), object)
    for index, value in enumerate(values):
        array[index] = value
    return array


def write_npz(path, rows):
    """The published layout: lists in object arrays, is_mobile in lists that may be empty."""
    np.savez(
        path,
        file_pointer=_objects([row["image_path"] for row in rows]),
        clickmap_x=_objects([[x for x, _ in row["clicks"]] for row in rows]),
        clickmap_y=_objects([[y for _, y in row["clicks"]] for row in rows]),
        user_id=np.asarray([row["user_id"] for row in rows]),
        user_catch_trial=np.asarray([row["user_catch_trial"] for row in rows], np.float64),
        is_mobile=_objects([row["is_mobile"] for row in rows]),
    )
