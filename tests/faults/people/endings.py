"""Places that cannot be written, flags that make no sense, and Ctrl-C: one line, no traceback."""

from faults.people import DONE, ENDED, REFUSED, Case, material
from faults.people.material import (
    BUILD,
    EVALUATE,
    EXPORT,
    FIGURES,
    RELIABILITY,
    REPORT,
    SWEEP,
    TRAIN,
    VERIFY,
    VISUALIZE,
)

# Paths at which nothing can be made, whoever tries.
NOWHERE = {
    "a file": "{folder}/notes/notes.txt",
    "below a file": "{folder}/notes/notes.txt/out",
    "below a device": "/dev/null/out",
    "no such place": "/proc/nothing/out",
    "a name too long": "{folder}/" + "x" * 300,
    "a zero byte": "{folder}/a\0b",
}


def _command(module, folder, path):
    data, run = f"{folder}/data", f"{folder}/run"
    return {
        BUILD: lambda: [*material.build(folder)[:2], *_with(material.build(folder), path)],
        TRAIN: lambda: material.training(folder / "data", path),
        VERIFY: lambda: [VERIFY, data, f"--output_dir={path}", "--num_workers=1"],
        RELIABILITY: lambda: [RELIABILITY, data, f"--output_dir={path}"],
        EVALUATE: lambda: [EVALUATE, f"--model_dir={path}"],
        VISUALIZE: lambda: [VISUALIZE, f"--model_dir={run}", f"--output={path}/a.png"],
        EXPORT: lambda: [EXPORT, f"--model_dir={run}", f"--output_dir={path}"],
        REPORT: lambda: [REPORT, f"--runs={run}", f"--output_dir={path}"],
    }[module]()


def _with(words, path):
    return [f"--output_dir={path}" if w.startswith("--output_dir=") else w for w in words[2:]]


def _nowhere(module, place):
    def make(folder, rng):
        material.notes(folder / "notes")
        material.photographs(folder)
        material.data_set(folder / "data")
        if module in (VISUALIZE, EXPORT, REPORT):
            material.run(folder / "run")
        return _command(module, folder, place.format(folder=folder))

    return Case(make, (REFUSED,), r"(?i)dir|output|not a directory|too long|file", writes=())


CASES = {
    f"{module} into {name}": _nowhere(module, place)
    for module in (BUILD, TRAIN, VERIFY, RELIABILITY, EVALUATE, VISUALIZE, EXPORT, REPORT)
    for name, place in NOWHERE.items()
}


def _flags(module, *words):
    def make(folder, rng):
        material.photographs(folder)
        material.data_set(folder / "data")
        if module in (EVALUATE, VISUALIZE):
            material.run(folder / "run")
        given = [word.format(folder=folder) for word in words]
        if module == TRAIN:
            return [*material.training(folder / "data", folder / "out"), *given]
        return material.build(folder, *given) if module == BUILD else [module, *given]

    named = words[-1].split("=")[0]
    return Case(make, (REFUSED,), named, writes=())


WRONG = {
    BUILD: (
        "--source=folders",
        "--split_proportions=a,b",
        "--split_proportions=1,1",
        "--split_proportions=",
        "--split_proportions=-1,1,1",
        "--square_size=0",
        "--num_shards=0",
        "--num_workers=0",
        "--clickmap_blur=box",
        "--clickmap_blur=box:-3",
        "--input_dir=",
        "--input_dir={folder}/missing",
        "--input_dir={folder}/images/ant/0.jpg",
        "--maps_dir={folder}/missing",
        "--maps_dir={folder}/images/ant/0.jpg",
        "--output_dir=",
    ),
    TRAIN: (
        "--image_size=64",
        "--image_size=0",
        "--epochs=nan",
        "--epochs=0",
        "--global_batch_size=4000",
        "--train_split=trian",
        "--validation_split=val",
        "--test_split=tset",
        "--data_dir=",
        "--model_dir=",
        "--attention=gale",
        "--stage_blocks=0",
        "--clickmap_blur=sharp",
        "--learning_rate_per_256=-1",
        "--checkpoint=best",
    ),
}
for module, flags in WRONG.items():
    CASES |= {f"{module} {flag}": _flags(module, flag) for flag in flags}
for module in (EVALUATE, VISUALIZE):
    CASES[f"{module}, a split that is not"] = _flags(
        module, "--model_dir={folder}/run", "--split=tset"
    )


def _stopped(text, command, writes, allowed=(ENDED,), **more):
    """Ctrl-C once `text` was printed, or so many seconds after `@`."""

    def make(folder, rng):
        material.photographs(folder)
        material.data_set(folder / "data")
        return command(folder)

    # The newest sign of life may come after the signal: a command that was done is done.
    return Case(make, allowed, "", writes=writes, interrupt=text, **more)


def _long_training(folder):
    return material.training(folder / "data", folder / "out", "--epochs=500")


SECONDS = ("@1", "@5")  # while modules are imported, and later
OF_A_RUN = {
    EVALUATE: lambda f: [EVALUATE, f"--model_dir={f}/run"],
    VISUALIZE: lambda f: [VISUALIZE, f"--model_dir={f}/run"],
    EXPORT: lambda f: [EXPORT, f"--model_dir={f}/run", f"--output_dir={f}/out"],
    REPORT: lambda f: [REPORT, f"--runs={f}/run", f"--output_dir={f}/out"],
    FIGURES: lambda f: material.drawing(f, f / "images/ant"),
    SWEEP: lambda f: [w for w in material.sweep(f / "data", f / "out") if w != "--commands=-"],
    VERIFY: lambda f: [VERIFY, f"{f}/data", f"--output_dir={f}/out"],
    RELIABILITY: lambda f: [RELIABILITY, f"{f}/data", f"--output_dir={f}/out"],
    BUILD: lambda f: [BUILD, "--source=quickstart", f"--output_dir={f}/out"],
    TRAIN: lambda f: _long_training(f),
}
for module, command in OF_A_RUN.items():
    for seconds in SECONDS:

        def with_run(folder, command=command):
            material.run(folder / "run")
            return command(folder)

        CASES[f"Ctrl-C in {module} after {seconds[1:]} s"] = _stopped(
            seconds, with_run, ("out", "run"), allowed=(ENDED, DONE, REFUSED)
        )
CASES["Ctrl-C while training"] = _stopped("step", _long_training, ("out",))
CASES["Ctrl-C while compiling"] = _stopped("compiling", _long_training, ("out",))
CASES["Ctrl-C after the first steps"] = _stopped("images/s", _long_training, ("out",))
CASES["Ctrl-C while building"] = _stopped(
    "images/s",
    lambda folder: [BUILD, "--source=quickstart", f"--output_dir={folder}/out"],
    ("out",),
)
CASES["Ctrl-C while building with workers"] = _stopped(
    "images/s",
    lambda folder: [BUILD, "--source=quickstart", f"--output_dir={folder}/out", "--num_workers=2"],
    ("out",),
)
