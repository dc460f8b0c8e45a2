"""A sidecar that somebody edited is refused by field; where its maps are from."""

import dataclasses
import json
import shutil

import pytest

from gala_tf.data import dataset_info


@pytest.mark.parametrize(
    ("place", "name", "value"),
    [
        ((), "class_names", 5),
        ((), "splits", []),
        ((), "human_ceiling", "0.58"),
        ((), "seed", None),
        (("splits", "train"), "shards", {}),
        (("splits", "train"), "examples", "8"),
        (("splits", "train", "shards", 0), "bytes", 1.5),
        (("image",), "min_height", [32]),
    ],
)
def test_a_field_of_another_type_is_named(data_dir, tmp_path, place, name, value):
    path = shutil.copy(data_dir / dataset_info.INFO_FILE, tmp_path)
    with open(path) as file:
        found = whole = json.load(file)
    for part in place:
        found = found[part]
    found[name] = value
    with open(path, "w") as file:
        json.dump(whole, file)
    with pytest.raises(ValueError, match=rf"dataset_info.json'.*\.{name} is .*, expected"):
        dataset_info.load_info(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "command", "simulated"),
    [
        ("quickstart", "x --source=quickstart", True),
        ("mine", "x --source quickstart --seed=1", True),
        ("quickstart", "x --flagfile=mine.flags", True),
        ("quickstart", "x --source=folder --input_dir=quickstart", False),
        ("quickstart", "x --maps_source=coco --source='folder'", False),
    ],
)
def test_maps_are_simulated_where_the_source_is_the_built_in_one(
    data_dir, name, command, simulated
):
    info = dataset_info.load_info(str(data_dir))
    assert dataclasses.replace(info, name=name, command=command).simulated == simulated
