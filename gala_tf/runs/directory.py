"""The run directory: what a run was, so that it can be resumed, evaluated and told from others.

run.flags           every flag; `--flagfile=` of it launches the run again
environment.json    one entry a session: versions, devices, git commit, command
trained_on.json     the data set's dataset_info.json, as it was, under a name that makes no data set
metrics.jsonl, events.out.tfevents.*   what was measured (logs.py)
checkpoints/, best/                    weights (checkpoints.py)
figures/, results-*.json               what evaluation left
"""

import dataclasses
import datetime
import json
import os
import platform
import subprocess
import sys
import zlib
from typing import Any

import keras
import numpy as np
import tensorflow as tf

import gala_tf
from gala_tf import command, config, models
from gala_tf.data import dataset_info, files, places
from gala_tf.runs import checkpoints

FLAGS_FILE = places.RUN_FLAGS
ENVIRONMENT_FILE = places.RUN_ENVIRONMENT
DATASET_FILE = places.RUN_DATASET
WEIGHTS = {"best": "best", "newest": "checkpoints", "last": "checkpoints"}  # which: its directory


def check(run_config: config.Config, info: dataset_info.DatasetInfo) -> None:
    """Makes sure that a run in `model_dir`, if there is one, is this one. Writes nothing.

    ValueError: the run there had other flags, or another data set; names each.
    """
    flags_path = os.path.join(run_config.model_dir, FLAGS_FILE)
    if not tf.io.gfile.exists(flags_path) or run_config.allow_flag_changes:
        return
    began = open_run(run_config.model_dir)
    changed = config.changed_flags(began.config, run_config)
    if changed:
        listed = "; ".join(
            f"--{name}: was {old!r}, is {new!r}" for name, (old, new) in changed.items()
        )
        raise ValueError(
            f"--model_dir={run_config.model_dir} holds a run with other flags ({listed}). Use "
            "another --model_dir, the old flags, or --allow_flag_changes if this is meant."
        )
    if began.info != info:
        raise ValueError(
            f"--data_dir={run_config.data_dir} holds another data set than the one that the run in "
            f"--model_dir={run_config.model_dir} began with (its {DATASET_FILE}). Use "
            "another --model_dir, or --allow_flag_changes if this is meant."
        )


def start(run_config: config.Config, info: dataset_info.DatasetInfo) -> None:
    """Creates `model_dir` if need be, and writes down flags, data set and environment."""
    model_dir = run_config.model_dir
    tf.io.gfile.makedirs(model_dir)
    session, path = _environment(), os.path.join(model_dir, ENVIRONMENT_FILE)
    sessions = []
    if tf.io.gfile.exists(path):
        try:
            sessions = json.loads(_read(path))
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{path} is damaged ({error}). Move it away, and start again."
            ) from error
    flags_path = os.path.join(model_dir, FLAGS_FILE)
    if tf.io.gfile.exists(flags_path):
        session["changed_flags"] = config.changed_flags(open_run(model_dir).config, run_config)
    files.write(path, json.dumps([*sessions, session], indent=1))
    dataset_info.save_info(model_dir, info, DATASET_FILE)
    # Last: a directory with run.flags has all the rest. These wishes are this session's alone.
    lasting = dataclasses.replace(
        absolute(run_config), allow_flag_changes=False, stop_after_steps=0, profile_steps=()
    )
    files.write(flags_path, config.to_flagfile(lasting))


def identity(run_config: config.Config, info: dataset_info.DatasetInfo) -> dict:
    """{what: value} that must be the same wherever this run computes: flags, data, versions."""
    facts = {
        f"--{field.name}": repr(getattr(run_config, field.name))
        for field in dataclasses.fields(run_config)
        if not field.metadata["same_result"]
    }
    data = json.dumps(dataclasses.asdict(info), sort_keys=True)
    return {
        **facts,
        f"the data set ({dataset_info.INFO_FILE})": f"{info.name} {zlib.crc32(data.encode()):08x}",
        "versions": f"gala_tf {gala_tf.__version__}, TensorFlow {tf.__version__}, "
        f"Keras {keras.__version__}",
    }


@dataclasses.dataclass(frozen=True)
class OpenRun:
    """A run directory that was read; network and step only where weights were asked for."""

    model_dir: str
    config: config.Config
    info: dataset_info.DatasetInfo  # of the data set that it was trained on
    network: Any = None
    step: int | None = None

    def require_data(self) -> None:
        """ValueError if its data set is not where its flags say; tells what to give."""
        data_dir = self.config.data_dir
        if data_dir and not files.exists(data_dir):
            how = "" if data_dir == places.absolute(data_dir) else ", which is relative,"
            raise ValueError(
                f"--data_dir={data_dir}{how} of {os.path.join(self.model_dir, FLAGS_FILE)} is not "
                "there, seen from here. Say where that data set is now: --data_dir=DIR."
            )

    def with_weights(self, which: str = "best") -> "OpenRun":
        """The same with its network, in the scope of the current strategy.

        `best` is of the highest validation top-1, the paper's choice; or `newest`. ValueError: no
        checkpoint, a damaged one, or one of another network.
        """
        network = build_network(self.config, self.info.num_classes)
        folder = WEIGHTS[self.result_weights(which)]
        facts = checkpoints.read_weights(network, os.path.join(self.model_dir, folder))
        return dataclasses.replace(self, network=network, step=facts["step"])

    def result_weights(self, which: str = "best") -> str:
        """`which`; "last" for the best ones of a run without a validation split to choose by."""
        return "last" if which == "best" and not self.config.validation_split else which


def open_run(model_dir: str, overrides: tuple[str, ...] = (), weights: str = "") -> OpenRun:
    """A finished or running run: its flags, its data set and, if asked for, its trained network.

    `overrides` are flags that differ from the run's, `--name=value` each; `weights` are `best`,
    `newest` (`OpenRun.with_weights`), or empty: no network. ValueError: there is no run, or no such
    weights.
    """
    path = os.path.join(model_dir, FLAGS_FILE)
    if not tf.io.gfile.exists(path):
        raise ValueError(
            f"--model_dir={model_dir}: no {FLAGS_FILE} there, so no run. Give the directory that "
            "`python -m gala_tf.train --model_dir=...` wrote."
        )
    run_config = config.from_arguments([*_flag_lines(path), *overrides], path)
    run_config = resolved(run_config, model_dir)
    run = OpenRun(model_dir, run_config, dataset_info.load_info(model_dir, DATASET_FILE))
    return run.with_weights(weights) if weights else run


def absolute(run_config: config.Config) -> config.Config:
    """The same flags with paths that mean the same from every directory."""
    paths = {name: places.absolute(getattr(run_config, name)) for name in command.paths(run_config)}
    return dataclasses.replace(run_config, **paths)


def resolved(run_config: config.Config, model_dir: str) -> config.Config:
    """The flags of a run that wrote relative paths down, seen from another directory.

    Its --model_dir was relative to the same directory as its --data_dir, and is known now.
    """
    data_dir, recorded = run_config.data_dir, os.path.normpath(run_config.model_dir)
    if data_dir == places.absolute(data_dir) or files.exists(data_dir):
        return run_config
    here = places.absolute(model_dir)
    if not os.path.isabs(recorded) and here.endswith(os.sep + recorded):
        found = os.path.join(here.removesuffix(recorded), data_dir)
        if files.exists(found):
            return dataclasses.replace(run_config, data_dir=found)
    return run_config


def _flag_lines(path):
    """The lines of a `run.flags`; ValueError if it is empty or was cut off."""
    text = _read(path)
    # By "\n" alone: Python knows other ends of lines, which a path may hold.
    lines = text.split("\n")
    last = f"--{config.LAST_IN_RUN_FLAGS}="
    if lines[-1] or not any(line.startswith(last) for line in lines):
        raise ValueError(
            f"{path} is {'cut off' if text.strip() else 'empty'}: its last flag, {last}..., is "
            "missing. Delete it, and start the run's training command again: that writes it anew, "
            "and goes on from the newest checkpoint. Or restore it from a copy."
        )
    return lines[:-1]


def build_network(run_config: config.Config, num_classes: int):
    """The network that the flags describe, with fresh weights from `--seed`."""
    keras.utils.set_random_seed(run_config.seed)
    keras.config.set_dtype_policy(run_config.precision)
    keras.config.set_image_data_format("channels_last")  # whatever this machine's keras.json says
    named = (field.name for field in dataclasses.fields(run_config))
    described = {name: getattr(run_config, name) for name in named if name in models.parameters()}
    try:
        return models.build_model(num_classes=num_classes, **described)
    except ValueError as error:
        # The library names its arguments, which are flags here.
        if str(error).split(" ")[0] not in described:
            raise
        raise ValueError(f"--{error}") from error


def _environment():
    """What a session ran with: an entry of `environment.json`."""
    try:
        commit = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            capture_output=True,
            text=True,
            cwd=os.path.dirname(__file__),
            check=True,
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = None  # installed from a wheel, or no git
    return {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "git_commit": commit,
        "versions": {
            "gala_tf": gala_tf.__version__,
            "python": platform.python_version(),
            "tensorflow": tf.__version__,
            "keras": keras.__version__,
            "numpy": np.__version__,
        },
        "devices": [device.name for device in tf.config.list_logical_devices()],
        "machine": platform.platform(),
    }


def _read(path):
    try:
        with tf.io.gfile.GFile(path) as file:
            return file.read()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is damaged: it is no text ({error}). Restore it, or use another --model_dir."
        ) from error
