"""Whose directory it is: nothing of others is ever written over."""

import json
import os

import pytest

from gala_tf.data import files, places


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["a.jpg"], "pictures such as a.jpg"),
        (["dataset_info.json"], "holds a data set"),
        (["train-00000-of-00001.tfrecord"], "holds a data set"),
        (["notes.txt", "run.flags"], "notes.txt"),
        (["environment.json"], "environment.json"),
    ],
)
def test_a_run_takes_no_directory_of_others(tmp_path, names, words):
    for name in names:
        (tmp_path / name).write_text("{}")
    with pytest.raises(ValueError, match=words):
        places.check_run(str(tmp_path))


def test_a_run_takes_an_empty_directory_and_its_own(tmp_path):
    places.check_run(str(tmp_path / "new" / "run"))
    places.check_run(str(tmp_path))
    (tmp_path / "train.log").write_text("of a sweep")
    places.check_run(str(tmp_path))
    (tmp_path / "environment.json").write_text(json.dumps([{"versions": {}}]))
    places.check_run(str(tmp_path))
    (tmp_path / "run.flags").write_text("--seed=0\n")
    (tmp_path / "mine.txt").write_text("stays")
    places.check_run(str(tmp_path))


@pytest.mark.parametrize(("run", "data"), [("d", "d"), ("d/r", "d"), ("r", "r/d")])
def test_run_and_data_set_lie_apart(tmp_path, run, data):
    with pytest.raises(ValueError, match="a directory of its own"):
        places.check_run(str(tmp_path / run), str(tmp_path / data))


def test_a_folder_is_itself_in_other_capitals(tmp_path, monkeypatch):
    """As on disks of Windows and of Macs, for which links to one folder stand here."""
    (tmp_path / "Photos").mkdir()
    (tmp_path / "photos").symlink_to("Photos")
    monkeypatch.setattr(os.path, "realpath", os.path.abspath)  # which keep the capitals
    path, other = str(tmp_path / "photos" / "out"), str(tmp_path / "Photos")
    with pytest.raises(ValueError, match="--output_dir=.* lies in --input_dir="):
        places.check_outside(path, "output_dir", other, "input_dir")
    with pytest.raises(ValueError, match="is --data_dir, too"):
        places.check_run(str(tmp_path / "photos"), other)
    places.check_outside(str(tmp_path / "out"), "output_dir", other, "input_dir")


def test_a_file_is_no_directory(tmp_path):
    (tmp_path / "file").write_text("")
    for path in ("file", "file/below"):
        with pytest.raises(ValueError, match="a file, no directory"):
            places.check_run(str(tmp_path / path))


@pytest.mark.parametrize("name", ["a.jpg", "run.flags", "dataset_info.json"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_build_replaces_nothing_but_data_sets(tmp_path, name, overwrite):
    (tmp_path / name).write_text("{}")
    with pytest.raises(ValueError, match="--output_dir"):
        places.check_build(str(tmp_path), ".building", overwrite)


def test_files_of_others_are_left_alone(tmp_path):
    path = tmp_path / "a.png"
    places.check_file(str(path), "output", (places.PNG_SIGNATURE,), ".png")
    path.write_bytes(b"a photograph")
    with pytest.raises(ValueError, match="did not write it"):
        places.check_file(str(path), "output", (places.PNG_SIGNATURE,), ".png")
    with pytest.raises(ValueError, match="of another origin"):
        places.check_files(str(tmp_path), ["a.png"], "report.md", "# T")


@pytest.mark.parametrize("name", ["data[v2]", "what?", "star*", "a,b", "{x,y}", "a b"])
def test_a_name_that_exists_is_no_pattern(tmp_path, name):
    (tmp_path / name).mkdir()
    (tmp_path / name / "1.json").write_text("")
    (tmp_path / "whatever").mkdir()
    found = str(tmp_path / name / "1.json")
    assert files.matching(str(tmp_path / name / "*.json")) == [found]
    assert files.matching("*.json", str(tmp_path / name)) == [found]
    assert files.joined(str(tmp_path / name).split(",")) == [str(tmp_path / name)]
