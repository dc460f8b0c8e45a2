"""The game's flagfiles: each parses, says what it is, and differs from the paper as it says."""

from pathlib import Path

import pytest
from absl import flags

from data_prep import clickme_game
from data_prep.humans.game.rules import Rules
from gala_tf.command_line import flagfiles

ROOT = Path(__file__).resolve().parents[4]
FLAGFILES = sorted((ROOT / "experiments").glob("clickme_game*.flags"))


def settings(path, *more):
    values = flags.FlagValues()
    clickme_game.define_flags(values)
    values(["game", *flagfiles.expand([f"--flagfile={path}", *more])])
    return clickme_game.settings_of(values)


@pytest.fixture(autouse=True)
def in_the_root(monkeypatch):
    """Flagfiles name each other relative to the root of the repository."""
    monkeypatch.chdir(ROOT)


def test_there_are_three():
    names = [path.stem for path in FLAGFILES]
    assert names == ["clickme_game", "clickme_game_demo", "clickme_game_original"]


@pytest.mark.parametrize("path", FLAGFILES, ids=lambda path: path.stem)
def test_a_flagfile_says_what_it_is_and_how_it_is_used(path):
    lines = path.read_text().splitlines()
    assert lines[0].startswith("# The ClickMe game")
    assert f"python -m data_prep.clickme_game --flagfile=experiments/{path.name}" in lines[1]


def test_the_printed_rules_are_the_defaults():
    assert settings(FLAGFILES[0]).rules == Rules()


def test_the_others_differ_as_they_say():
    demo, original = (settings(path) for path in FLAGFILES[1:])
    assert demo.rules == Rules(partner_bubble_side=15, background="legacy_noise")
    assert original.rules == Rules(background="legacy_noise", score="cubic")
    assert original.allocation == "random"


def test_what_is_given_after_a_flagfile_wins():
    assert settings(FLAGFILES[1], "--top_k=1").rules.top_k == 1
