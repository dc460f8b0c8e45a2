"""Another's data: outputs that point at what somebody has already."""

from faults.people import DONE, REFUSED, Case, material
from faults.people.material import (
    EVALUATE,
    EXPORT,
    RELIABILITY,
    REPORT,
    TPU_CHECK,
    TRAIN,
    VERIFY,
    VISUALIZE,
)


def _shards():
    return [
        f"{split}-{index:05d}-of-00003.tfrecord"
        for split in ("train", "validation", "test")
        for index in range(3)
    ]


def _places(folder):
    """All that a person may have around; each may be hit by mistake."""
    material.photographs(folder)
    material.data_set(folder / "data")
    material.data_set(folder / "other_data")
    material.notes(folder / "notes")
    (folder / "empty").mkdir()


PLACES = ("data", "other_data", "images", "maps", "images/ant", "notes", "run", ".")


def _case(command, *allowed, named="", writes=(), with_run=False, **more):
    def make(folder, rng):
        _places(folder)
        if with_run:
            material.run(folder / "run")
        return command(folder)

    return Case(make, allowed or (REFUSED,), named, writes=writes, **more)


CASES = {}
for place in PLACES:
    needs = place in ("run", ".")
    CASES[f"train into {place}"] = _case(
        lambda folder, place=place: [
            *material.training(folder / "data", folder / place),
            "--seed=7",
        ],
        named="--model_dir",
        with_run=needs,
    )
    CASES[f"train into {place}, allow_flag_changes"] = _case(
        lambda folder, place=place: [
            *material.training(folder / "data", folder / place, "--allow_flag_changes")
        ],
        *((REFUSED,) if place != "run" else (DONE, REFUSED)),
        named="--model_dir",
        with_run=needs,
        writes=("run",) if place == "run" else (),
        replaces=("run",) if place == "run" else (),
    )
    CASES[f"build into {place}"] = _case(
        lambda folder, place=place: material.build(folder, output=place),
        named="--output_dir",
        with_run=needs,
    )
    data = place in ("data", "other_data")
    CASES[f"build into {place}, overwrite"] = _case(
        lambda folder, place=place: material.build(folder, "--overwrite", output=place),
        *((DONE,) if data else (DONE, REFUSED)),
        named="--output_dir",
        with_run=needs,
        writes=(place,),
        replaces=(place,) if data else (),
    )
for place in ("images", "data", "notes", "images/ant"):
    CASES[f"export into {place}"] = _case(
        lambda folder, place=place: [
            EXPORT,
            f"--model_dir={folder}/run",
            f"--output_dir={folder}/{place}",
        ],
        DONE,
        REFUSED,
        named="--output_dir",
        writes=(place,),
        with_run=True,
    )
for place in ("images", "data", "notes", "run"):
    CASES[f"report into {place}"] = _case(
        lambda folder, place=place: [
            REPORT,
            f"--runs={folder}/run",
            f"--output_dir={folder}/{place}",
        ],
        DONE,
        REFUSED,
        named="--output_dir",
        writes=(place,),
        with_run=True,
    )
    CASES[f"verify, sheets into {place}"] = _case(
        lambda folder, place=place: [
            VERIFY,
            f"{folder}/data",
            f"--output_dir={folder}/{place}",
            "--num_workers=1",
        ],
        DONE,
        REFUSED,
        named="--output_dir",
        writes=(place,),
        with_run=place == "run",
    )
    CASES[f"{place} as data set of verify"] = _case(
        lambda folder, place=place: [VERIFY, f"{folder}/{place}", "--num_workers=1"],
        DONE if place == "data" else REFUSED,
        named=place,
        writes=("data/verify",),
        with_run=place == "run",
    )
for place in ("images", "notes", "run", "empty", "missing"):
    CASES[f"{place} as data set of train"] = _case(
        lambda folder, place=place: material.training(folder / place, folder / "new"),
        named=place,
        with_run=place == "run",
    )
    CASES[f"{place} as data set of reliability"] = _case(
        lambda folder, place=place: [RELIABILITY, f"{folder}/{place}"],
        named=place,
        with_run=place == "run",
    )
for place in ("images", "data", "notes", "empty", "missing"):
    for module in (EVALUATE, VISUALIZE, EXPORT):
        CASES[f"{place} as run of {module}"] = _case(
            lambda folder, place=place, module=module: [
                module,
                f"--model_dir={folder}/{place}",
                *([f"--output_dir={folder}/out"] if module == EXPORT else []),
            ],
            named=place,
        )
CASES["a picture over a photograph"] = _case(
    lambda folder: [VISUALIZE, f"--model_dir={folder}/run", f"--output={folder}/images/ant/0.jpg"],
    named="--output",
    with_run=True,
)
PICTURE = "{folder}/images/ant/0.jpg"
NOTES = "{folder}/notes/notes.txt"
OVER = {
    "figures over a photograph": (lambda f: material.drawing(f, f / "images/ant"), "output"),
    "figures over notes": (lambda f: material.drawing(f, f / "images/ant"), "output", NOTES),
    "tpu_check over notes": (lambda f: [TPU_CHECK], "output", NOTES),
    "sweep, commands over notes": (
        lambda f: material.sweep(f / "data", f / "new"),
        "commands",
        NOTES,
    ),
    "match report over notes": (
        lambda f: material.build(f, "--maps_source=folder"),
        "match_report",
        NOTES,
    ),
}
for name, (command, flag, *place) in OVER.items():
    CASES[name] = _case(
        lambda folder, command=command, flag=flag, place=place: [
            *command(folder),
            f"--{flag}=" + (place or [PICTURE])[0].format(folder=folder),
        ],
        named=f"--{flag}",
        with_run=True,
    )
for place in ("data", "images", "notes"):
    CASES[f"sweep into {place}"] = _case(
        lambda folder, place=place: material.sweep(folder / "data", folder / place),
        DONE,
        REFUSED,
        named="--runs",
    )
for file, module in (("reliability.json", RELIABILITY), ("faults.csv", VERIFY)):

    def beside(folder, file=file, module=module):
        (folder / "notes" / file).write_text("not of this program\n")
        return [module, f"{folder}/data", f"--output_dir={folder}/notes", "--num_workers=1"]

    CASES[f"{module} where another's {file} is"] = _case(beside, named="--output_dir")


def _notes_in_data(folder):
    (folder / "data/notes.txt").write_text("three years of work\n")
    return material.build(folder, "--overwrite", output="data")


CASES["build over a data set with notes in it"] = _case(
    _notes_in_data,
    DONE,
    writes=("data",),
    replaces=("data/dataset_info.json", *(f"data/{name}" for name in _shards())),
)
CASES["train twice, the same command"] = _case(
    lambda folder: [TRAIN, f"--flagfile={folder}/run/run.flags", f"--model_dir={folder}/run"],
    DONE,
    writes=("run",),
    replaces=("run",),
    with_run=True,
)
