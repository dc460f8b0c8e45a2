"""Files are whole or not there; JSON is what any reader takes; settings come back as they went."""

import json
import math

import pytest

from data_prep.humans.game.rules import Rules
from data_prep.humans.game.settings import GameSettings
from data_prep.humans.psychophysics.settings import Settings, Trials
from data_prep.humans.studies import writing
from data_prep.humans.studies.settings import StudySettings


def test_what_fails_leaves_what_was_there_and_nothing_beside_it(tmp_path):
    path = tmp_path / "a.txt"
    writing.write(path, "first\u00e9")
    with pytest.raises(OSError, match="disk"), writing.whole(path) as beside:
        beside.write_text("half")
        raise OSError("the disk is full")
    assert path.read_bytes() == "first\u00e9".encode() and list(tmp_path.iterdir()) == [path]


def test_what_strangers_typed_is_no_formula(tmp_path):
    cells = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "a=1", "", -1.5]
    writing.write_csv(tmp_path / "a.csv", ["odd"], [[writing.plain(cell)] for cell in cells])
    shown = "odd,'=1+1,'+1,'-1,'@SUM(A1),'\t=1,a=1,\"\",-1.5".split(",")
    assert (tmp_path / "a.csv").read_text().splitlines() == shown


def test_a_folder_appears_at_once_or_not_at_all(tmp_path):
    with writing.whole(tmp_path / "out") as beside:
        beside.mkdir()
        (beside / "a").write_text("a")
        assert not (tmp_path / "out").exists()
    assert (tmp_path / "out" / "a").exists()
    with pytest.raises(KeyError), writing.whole(tmp_path / "other") as beside:
        beside.mkdir()
        raise KeyError
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_table_whose_rows_fail_does_not_appear(tmp_path):
    assert writing.write_csv(tmp_path / "t.csv", ("a", "b"), [(1, "x,y"), (None, "")]) == 2
    assert (tmp_path / "t.csv").read_bytes() == b'a,b\n1,"x,y"\n,\n'
    with pytest.raises(ZeroDivisionError):
        writing.write_csv(tmp_path / "u.csv", ("a",), ((1 / n,) for n in (1, 0)))
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


def test_numbers_that_json_does_not_know_are_null():
    text = writing.to_json({"a": [math.nan, (math.inf, 1.5)], "b": -math.inf})
    assert json.loads(text, parse_constant=pytest.fail) == {"a": [None, [None, 1.5]], "b": None}


@pytest.mark.parametrize(
    "settings",
    [
        GameSettings(study=StudySettings(port=1), rules=Rules(top_k=1), demo=True, keep_raw=True),
        Settings(StudySettings(study="a"), Trials(fixation_ms=(250, 400)), stand_in="made up"),
        StudySettings(withdrawn_maps="anonymise"),
    ],
)
def test_settings_come_back_as_they_went(settings):
    assert type(settings).from_json(settings.as_json()) == settings
