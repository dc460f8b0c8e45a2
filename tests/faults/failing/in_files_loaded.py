"""Files made to run code when they are loaded: they must be refused, and nothing run."""

import functools
import io
import json
import os
import pickle
import zipfile

import keras
import numpy as np
from faults.failing import FAILURE, NAMED, Kind

from data_prep.readers.clicks import click_npz
from data_prep.readers.images.map_files import read_map
from gala_tf.data import dataset_info
from gala_tf.explain import saved_models
from gala_tf.runs import directory


class _Touch:
    """Unpickling it makes a file."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def _network(folder):
    path = folder / "network.keras"
    keras.Sequential([keras.Input((4, 4, 3)), keras.layers.Flatten(), keras.layers.Dense(2)]).save(
        path
    )
    return path


def _edited(path, edit):
    """A .keras file, a zip, whose config.json `edit` changes."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    edit(config)
    members["config.json"] = json.dumps(config).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def _refused(load, marker):
    try:
        load()
    except ValueError as error:
        return (FAILURE if marker.exists() else NAMED), str(error)
    return FAILURE, "it was loaded"


def _lambda(folder, rng):
    path, marker = folder / "network.keras", folder / "it-ran"
    code = f"__import__('os').mkdir({str(marker)!r})"
    layer = keras.layers.Lambda(eval(f"lambda x: (x, {code})[0]"), output_shape=(4, 4, 3))
    keras.Sequential([keras.Input((4, 4, 3)), layer, keras.layers.Flatten()]).save(path)
    if marker.exists():
        marker.rmdir()
    return _refused(lambda: saved_models.load_model(str(path)), marker)


def _class(module, name, config, folder, rng):
    path, marker = _network(folder), folder / "it-ran"
    text = json.dumps(config).replace("MARKER", str(marker))

    def edit(whole):
        whole["config"]["layers"][1] = {
            "module": module,
            "class_name": name,
            "config": json.loads(text),
            "registered_name": name,
        }

    _edited(path, edit)
    return _refused(lambda: saved_models.load_model(str(path)), marker)


def _keras_pickle(folder, rng):
    path, marker = folder / "network.keras", folder / "it-ran"
    path.write_bytes(pickle.dumps(_Touch(marker)))
    return _refused(lambda: saved_models.load_model(str(path)), marker)


def _clicks(folder, rng):
    path, marker = folder / "clicks.npz", folder / "it-ran"
    clicks = np.empty(1, object)
    clicks[0] = _Touch(marker)
    names = ("file_pointer", "clickmap_x", "clickmap_y", "user_id")
    np.savez(path, **dict.fromkeys(names, clicks))
    return _refused(lambda: list(click_npz.read_npz(str(path))), marker)


def _map(folder, rng):
    """A map that is an NPY file of Python objects."""
    path, marker = folder / "map.npy", folder / "it-ran"
    clicks = np.empty(1, object)
    clicks[0] = _Touch(marker)
    buffer = io.BytesIO()
    np.save(buffer, clicks, allow_pickle=True)
    path.write_bytes(buffer.getvalue())
    return _refused(lambda: list(read_map(str(path))), marker)


def _json(load, name, folder, rng):
    """A pickle where JSON is expected."""
    marker = folder / "it-ran"
    (folder / name).write_bytes(pickle.dumps(_Touch(marker)))
    return _refused(lambda: load(str(folder)), marker)


FAULTS = {
    "loaded: .keras with a Lambda": Kind(_lambda, (NAMED,)),
    "loaded: .keras with subprocess.Popen": Kind(
        functools.partial(_class, "subprocess", "Popen", {"args": ["mkdir", "MARKER"]}), (NAMED,)
    ),
    "loaded: .keras with os.mkdir": Kind(
        functools.partial(_class, "os", "mkdir", {"path": "MARKER"}), (NAMED,)
    ),
    "loaded: .keras that is a pickle": Kind(_keras_pickle, (NAMED,)),
    "loaded: clicks of Python objects": Kind(_clicks, (NAMED,)),
    "loaded: map of Python objects": Kind(_map, (NAMED,)),
    "loaded: dataset_info.json that is a pickle": Kind(
        functools.partial(_json, dataset_info.load_info, dataset_info.INFO_FILE), (NAMED,)
    ),
    "loaded: run.flags that is a pickle": Kind(
        functools.partial(_json, directory.open_run, directory.FLAGS_FILE), (NAMED,)
    ),
}
