"""Names that look like patterns, or are hard to write, at every path of every command."""

import json
import os
import shutil
import unicodedata

from faults.people import DONE, LEFT_OUT, REFUSED, Case, material, running
from faults.people.material import (
    EVALUATE,
    EXPORT,
    FIGURES,
    RELIABILITY,
    REPORT,
    SWEEP,
    VERIFY,
    VISUALIZE,
)
from faults.trees import FINISHED, TREES

ACCENT = "cr\u00e8me br\u00fbl\u00e9e"
NAMES = {
    "brackets": "v[2]",
    "a bracket": "v[2",
    "a star": "a*b",
    "a question": "what?",
    "braces": "a{b,c}",
    "a comma": "one, two",
    "spaces": " two  words ",
    "a tilde inside": "a~b",
    "a tilde": "~old",
    "NFC": unicodedata.normalize("NFC", ACCENT),
    "NFD": unicodedata.normalize("NFD", ACCENT),
    "no UTF-8": os.fsdecode(b"caf\xe9"),
    "a picture": "\U0001f431",
    "quotes": 'it\'s "it"',
    "percent": "100%d %s",
    "a hash": "a#b",
    "an equals sign": "a=b",
    "a dollar": "$HOME",
    "a backslash": "a\\b",
    "a new line": "a\nb",
    "a dash": "--overwrite",
    "a colon": "c:d",
    "a dot": "a.b.jpg",
    "another script": "\u732b\u72ac",
}
FEW = ("brackets", "a star", "braces", "a comma", "a tilde", "NFD", "no UTF-8", "a question")
BOTH = DONE, REFUSED
# A part of the name that a message about it will hold, however it quotes the rest.
TELLING = r"dir|file|path|name|\.flags|--\w+"


def _tree(tree, name):
    """Raw material of a published format in a folder of that name."""
    kind = TREES[tree]

    def make(folder, rng):
        plain, root = folder / "plain", folder / name
        plain.mkdir()
        kind.write(plain)
        shutil.move(plain, root)  # what writes it need not know such names
        if kind.source == FINISHED:
            data = kind.options["data_dir"].format(root=root)
            return [VERIFY, f"--data_dir={data}", "--num_workers=1", f"--output_dir={folder}/out"]
        options = {"input_dir": "{root}"} | kind.options
        words = [
            f"--{key}={str(text).replace('{root}', str(root))}" for key, text in options.items()
        ]
        return [
            material.BUILD,
            f"--source={kind.source}",
            f"--output_dir={folder}/out",
            *[word for word in material.QUICK if word.split("=")[0][2:] not in options],
            *words,
        ]

    def lost(folder):
        if kind.source == FINISHED:
            return ""
        found = material.counted(folder)
        return "" if found[0] else "no images"

    return Case(make, BOTH, TELLING, lost)


def _build(name, role):
    """`photographs` built with one path of that name."""

    def make(folder, rng):
        material.photographs(folder)
        if role in ("images", "maps"):
            shutil.move(folder / role, folder / name)
            flag = {"images": "--input_dir", "maps": "--maps_dir"}[role]
            return material.build(folder, f"{flag}={folder / name}")
        if role == "output":
            return material.build(folder, output=f"here/{name}")
        for tree in ("images", "maps"):
            place = folder / tree / "ant"
            if role == "class":
                shutil.move(place, folder / tree / name)
            else:
                suffix = ".jpg" if tree == "images" else ".png"
                shutil.move(place / f"0{suffix}", place / f"{name}{suffix}")
        return material.build(folder)

    output = f"here/{name}" if role == "output" else "out"
    allowed = BOTH if name.isprintable() or "\n" in name else (*BOTH, LEFT_OUT)  # if no UTF-8
    return Case(make, allowed, TELLING, material.all_there(output=output), writes=("out", "here"))


def _of_data(module, name):
    def make(folder, rng):
        material.data_set(folder / name)
        return [module, f"--data_dir={folder / name}", "--num_workers=1"]

    return Case(make, BOTH, TELLING, writes=(f"{name}/verify", f"{name}/reliability"))


def _of_run(module, name):
    def make(folder, rng):
        material.run(folder / name)
        if module == REPORT:
            return [module, f"--runs={folder / name}", f"--output_dir={folder}/out"]
        out = [f"--output_dir={folder}/out"] if module == EXPORT else []
        return [module, f"--model_dir={folder / name}", *out]

    def lost(folder):
        return "" if module != REPORT or (folder / "out/report.html").exists() else "no report"

    return Case(make, BOTH, TELLING, lost, writes=("out", name), replaces=(name,))


def _training(name, role):
    def make(folder, rng):
        data = material.data_set(folder / (name if role == "data" else "data"))
        return material.training(data, folder / (name if role == "run" else "run"))

    def lost(folder):
        run = folder / (name if role == "run" else "run")
        return "" if (run / "results-test.json").exists() else "no results"

    return Case(make, BOTH, TELLING, lost, writes=("run", name))


def _home(flag):
    """A `~` that no shell has replaced, since it stands after an equals sign."""

    def make(folder, rng):
        material.photographs(folder)
        return material.build(folder, f"--{flag}=~/{ {'output_dir': 'out'}.get(flag) or flag }")

    def with_material(folder, rng):
        words = make(folder, rng)
        for old, new in (("images", "input_dir"), ("maps", "maps_dir")):
            if flag == new:
                shutil.move(folder / old, folder / new)
        return words

    return Case(with_material, BOTH, f"--{flag}", material.all_there())


def _two_forms(outer, inner):
    """Images named by one normal form, maps by the other, as after a trip through a Mac."""

    def make(folder, rng):
        material.photographs(folder)
        for tree, form in (("images", outer), ("maps", inner)):
            name = unicodedata.normalize(form, ACCENT)
            shutil.move(folder / tree / "ant", folder / tree / name)
            for path in sorted((folder / tree / name).iterdir()):
                path.rename(path.with_name(unicodedata.normalize(form, "\u00e9") + path.name))
        return material.build(folder)

    return Case(make, (DONE,), "", material.all_there())


def _later(command, name):
    """Commands that read a run, a folder of images or a network of that name."""

    def make(folder, rng):
        material.run(folder / "run")
        if command == FIGURES:
            material.photographs(folder, maps=False)
            shutil.move(folder / "images/ant", folder / name)
            return material.drawing(folder, folder / name, f"--output={folder}/{name}.png")
        data = material.data_set(folder / "data")
        return material.sweep(data, folder / name)

    def lost(folder):
        made = command != FIGURES or (folder / f"{name}.png").exists()
        return "" if made else "no picture"

    return Case(make, BOTH, TELLING, lost, writes=(f"{name}.png",))


def _life_of_a_run(name):
    """Trained in two sessions, evaluated, exported: each finds what the one before has left."""

    def make(folder, rng):
        model_dir = name if name.startswith("~/") else folder / name
        train = material.training(material.data_set(folder / "data"), model_dir)
        steps = [[*train, "--stop_after_steps=1"], train, [EVALUATE, f"--model_dir={model_dir}"]]
        for words in steps:
            said = running.called(folder, words)
            if said.status:
                raise AssertionError(said.text)
        return [EXPORT, f"--model_dir={model_dir}", f"--output_dir={folder}/out"]

    def lost(folder):
        run = folder / name.removeprefix("~/")
        log = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        again = [line["step"] for line in log if line["kind"] == "train"]
        exported = (folder / "out/model.keras").exists()
        return "" if exported and again == sorted(set(again)) and 1 in again else "not all of it"

    return Case(make, (DONE,), "", lost, writes=("out",))


CASES = {f"{tree} in {name}": _tree(tree, NAMES[name]) for tree in TREES for name in FEW}
CASES |= {
    f"folder, {role} of {name}": _build(text, role)
    for role in ("images", "maps", "output", "class", "stem")
    for name, text in NAMES.items()
}
CASES |= {
    f"{module} of {name}": _of_data(module, NAMES[name])
    for module in (VERIFY, RELIABILITY)
    for name in FEW
}
CASES |= {
    f"{module} of {name}": _of_run(module, NAMES[name])
    for module in (EVALUATE, VISUALIZE, EXPORT, REPORT)
    for name in FEW
}
CASES |= {
    f"{command} of {name}": _later(command, NAMES[name])
    for command in (FIGURES, SWEEP)
    for name in FEW
}
CASES |= {
    f"the life of {name}": _life_of_a_run(name)
    for name in ("run[1]", "run, two", "~/run", NAMES["NFD"])
}
CASES |= {
    f"train, {role} of {name}": _training(NAMES[name], role)
    for role in ("run", "data")
    for name in FEW
    if role == "run" or name in FEW[:3]
}
CASES |= {f"~ in --{flag}": _home(flag) for flag in ("output_dir", "input_dir", "maps_dir")}
CASES |= {
    f"images {one}, maps {two}": _two_forms(one, two)
    for one, two in (("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD"))
}
