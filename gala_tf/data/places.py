"""Whose directory is it? Whether a command may write there, decided before anything is written.

A run, a build, an export and a report each own what they made, and nothing else. A directory may be
written if it is not there, is empty, or is the writer's own; what it holds otherwise is named.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from gala_tf.data import files

# What a run leaves: the names by which a run is known, also to those who must not write there.
RUN_FLAGS = "run.flags"
RUN_ENVIRONMENT = "environment.json"
RUN_DATASET = "trained_on.json"  # the sidecar of its data set, under a name that no data set has
DATASET_SIDECAR = "dataset_info.json"
_OF_A_RUN = (
    RUN_ENVIRONMENT,
    RUN_DATASET,
    DATASET_SIDECAR,  # runs of before had it under this name
    "metrics.jsonl",
    "checkpoints",
    "best",
    "figures",
    "plugins",
    "bad_records.json",
    "initial_weights.json",
    "good_records",
    "train.log",  # of a sweep, which opens it before the run begins
)
_BEFORE_THE_FIRST = (f"{RUN_ENVIRONMENT}.writing", "train.log")
_OF_A_RUN_BY_PREFIX = ("events.out.tfevents", "results-", "per_image-", "figures")
_OF_NOBODY = (".DS_Store", ".gitkeep", ".gitignore", "Thumbs.db", "desktop.ini", "lost+found")
PNG_SIGNATURE = "Software\0gala_tf"  # a text chunk of pictures that a command was told to write
_LISTED = 4  # names in a message
_PICTURES = (".jpg", ".jpeg", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".npy")


def check_run(model_dir: str, data_dir: str = "", flag: str = "model_dir") -> None:
    """ValueError unless a run may write into `model_dir`: it is empty, or a run's own.

    Args:
        data_dir: the run's data set, which the two must not lie in one another with.
        flag: that named the directory, for the message.
    """
    check_can_be_directory(model_dir, flag)
    if data_dir:
        _check_apart(model_dir, data_dir, flag)
    there = contents(model_dir)
    if _holds_data_set(there):
        raise ValueError(
            f"--{flag}={model_dir} holds a data set, which a run would spoil. Give a directory of "
            "the run's own: a new one, or that of the run to go on with."
        )
    foreign = [name for name in there if not _is_of_a_run(name)]
    if RUN_FLAGS in there and (RUN_ENVIRONMENT in there or not foreign):
        return
    # A run that was ended before its flags were written, the last of what it begins with.
    if RUN_ENVIRONMENT in there and not foreign and _lists_sessions(model_dir):
        return
    if not {*there} - {*_BEFORE_THE_FIRST}:
        return
    raise ValueError(
        f"--{flag}={model_dir} holds {describe(foreign or there)}, and no run. A run writes "
        "only into an empty directory or its own: give another name."
    )


def check_build(output_dir: str, unfinished: str, overwrite: bool) -> None:
    """ValueError unless a build may write into `output_dir`: it is empty, or a build's own.

    Args:
        unfinished: name of the directory in it that a build under way keeps.
        overwrite: a finished data set may be replaced.
    """
    check_can_be_directory(output_dir, "output_dir")
    there = contents(output_dir)
    if is_run(output_dir, there):
        raise ValueError(
            f"--output_dir={output_dir!r} is a run's directory (it holds {RUN_FLAGS}). Choose "
            "another for the data set."
        )
    rest = [name for name in there if name != unfinished]
    # A build under way has its lock, or nothing yet.
    kept = contents(os.path.join(output_dir, unfinished))
    if not rest and (not kept or {*kept} & {"lock", "plan", "matches", "publishing"}):
        return
    if not is_data_set(output_dir):
        raise ValueError(
            f"--output_dir={output_dir!r} holds {describe(rest or there)}, and no data set of "
            "this program. A data set is built into an empty directory, or in place of an older "
            "one with --overwrite: choose another."
        )
    if not overwrite:
        raise ValueError(
            f"--output_dir={output_dir!r} already holds a data set. Choose another, or pass "
            "--overwrite to replace it."
        )


def check_outside(path: str, flag: str, other: str, other_flag: str) -> None:
    """ValueError if `path` is `other`, or lies in it."""
    if path and other and _is_in(_real(path), _real(other)):
        raise ValueError(
            f"--{flag}={path} lies in --{other_flag}={other}, which is read and must stay as it "
            "is. Give a place outside of it."
        )


def check_files(
    directory: str, names: Iterable[str], mark: str, begins: str, flag: str = "output_dir"
) -> None:
    """ValueError if files of these names are there, and not from an earlier start of the command.

    Args:
        mark: the file by which its own directory is known, and
        begins: the text that this file begins with.
    """
    check_can_be_directory(directory, flag)
    there = sorted({*contents(directory)} & {*names})
    if there and not _begins_with(os.path.join(directory, mark), begins):
        raise ValueError(
            f"--{flag}={directory} holds {describe(there)} of another origin, which would be "
            "overwritten. Give another directory."
        )


def check_file(path: str, flag: str, own: tuple[str, ...], ending: str = "") -> None:
    """ValueError unless `path` can be written: not there, or ours by one of `own` in its head.

    Args:
        own: texts, one of which the first bytes of a file of ours hold.
        ending: that the name must have.
    """
    if not path or not files.is_local(path):
        return
    if not path.endswith(ending):
        raise ValueError(f"--{flag}={path}: its name must end in {ending}.")
    if os.path.isdir(path):
        raise ValueError(f"--{flag}={path} is a directory: name a file.")
    check_can_be_directory(os.path.dirname(path) or ".", flag)
    if os.path.exists(path) and os.path.getsize(path):
        with open(path, "rb") as file:
            head = file.read(4096)
        if not any(text.encode() in head for text in own):
            raise ValueError(
                f"--{flag}={path} exists, and this command did not write it. Give another name, or "
                "move that file away."
            )


def check_can_be_directory(path: str, flag: str) -> None:
    """ValueError unless `path` is a directory that can be written, or can be made one."""
    if not files.is_local(path):
        return
    place = os.path.abspath(path)
    while not os.path.lexists(place):
        place = os.path.dirname(place)
    what = f"--{flag}={path}"
    if not os.path.isdir(place):
        kind = "a link to nothing" if os.path.islink(place) else "a file"
        where = "it is" if os.path.abspath(path) == place else f"{place} is"
        raise ValueError(f"{what}: {where} {kind}, no directory. Give another name.")
    if not os.access(place, os.W_OK | os.X_OK) or _is_read_only(place):
        raise ValueError(
            f"{what}: {place} may not be written (permission denied, or a read-only disk). Give "
            "another place, or the right to write there."
        )


def _is_read_only(place):
    return bool(os.statvfs(place).f_flag & getattr(os, "ST_RDONLY", 1))


def is_run(directory: str, there: Iterable[str] | None = None) -> bool:
    """Whether a directory is a run's."""
    return RUN_FLAGS in (contents(directory) if there is None else there)


def is_data_set(directory: str) -> bool:
    """Whether a directory has the sidecar of a data set of ours, readable or not, and is no run."""
    path = os.path.join(directory, DATASET_SIDECAR)
    if not files.exists(path) or files.exists(os.path.join(directory, RUN_FLAGS)):
        return False
    try:
        with files.open_binary(path) as file:
            found = json.loads(file.read())
    except (OSError, ValueError, RecursionError):
        return any(name.endswith(".tfrecord") for name in contents(directory))
    return isinstance(found, dict) and "schema_version" in found


def _holds_data_set(there):
    """Whether there are the shards of a data set, or its sidecar."""
    shards = any(name == ".building" or name.endswith(".tfrecord") for name in there)
    return shards or (DATASET_SIDECAR in there and RUN_FLAGS not in there)


def contents(directory: str) -> list[str]:
    """Names in a directory, sorted, without what systems put there; none where there is none."""
    if files.is_local(directory):
        try:
            names = os.listdir(directory)
        except (FileNotFoundError, NotADirectoryError):
            return []
    else:
        names = files.names(directory) if files.exists(directory) else []
    return sorted({name.rstrip("/") for name in names} - {*_OF_NOBODY})


def describe(names: list[str]) -> str:
    """Some names, for a message."""
    if DATASET_SIDECAR in names:
        return "a data set"
    kind = "pictures such as " if all(n.lower().endswith(_PICTURES) for n in names) else ""
    shown = ", ".join(name.encode(errors="backslashreplace").decode() for name in names[:_LISTED])
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return f"{kind}{shown}{more}"


def _is_of_a_run(name):
    whole = name.removesuffix(".writing")
    return whole in (RUN_FLAGS, *_OF_A_RUN) or whole.startswith(_OF_A_RUN_BY_PREFIX)


def _lists_sessions(model_dir):
    """Whether `environment.json` is one of ours: another program may call a file so, too."""
    try:
        with files.open_binary(os.path.join(model_dir, RUN_ENVIRONMENT)) as file:
            found = json.loads(file.read())
    except ValueError:
        return False
    return isinstance(found, list) and all("versions" in one for one in found)


def _begins_with(path, text):
    if not files.exists(path):
        return False
    with files.open_binary(path) as file:
        return file.read(len(text.encode())) == text.encode()


def _check_apart(model_dir, data_dir, flag):
    run, data = _real(model_dir), _real(data_dir)
    if _is_in(run, data) and _is_in(data, run):
        what = "is --data_dir, too"
    elif _is_in(run, data):
        what = f"lies in --data_dir={data_dir}"
    elif _is_in(data, run):
        what = f"has --data_dir={data_dir} in it"
    else:
        return
    raise ValueError(
        f"--{flag}={model_dir} {what}: a run needs a directory of its own, beside its data set."
    )


def _real(path):
    return os.path.realpath(path) if files.is_local(path) else path.rstrip("/")


def _is_in(path, other):
    """Whether a path is another or lies in it, also where capitals make no other name."""
    if path == other or path.startswith(other.rstrip("/") + "/"):
        return True
    if not os.path.exists(other):  # among them a bucket's
        return False
    above = [path, *map(str, Path(path).parents)]
    return any(os.path.exists(place) and os.path.samefile(place, other) for place in above)


def absolute(path: str) -> str:
    """A path that means the same from everywhere; empty ones and buckets' as they are."""
    return os.path.abspath(path) if path and files.is_local(path) else path
