"""From a game to a network that plays it: the commands of the README, run one after the other."""

import csv
import json
import re
import shlex
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
# The same commands, smaller; absl takes the last of two equal flags.
SMALLER = {
    "clickme_game images": ["--pictures=24,12,12"],
    "clickme_game simulate": ["--rounds=4"],
    "build_tfrecords": ["--num_shards=2", "--num_eval_shards=1"],
    "reliability": ["--bootstrap=200", "--permutations=99"],
    "train": [
        *("--epochs=1", "--warmup_epochs=0", "--eval_every_epochs=1", "--global_batch_size=8"),
        *("--stage_blocks=1,1,1,1", "--steps_per_loop=1"),
    ],
}


def commands():
    """[(module and first word, arguments)] of the README's section."""
    text = (ROOT / "data_prep" / "humans" / "README.md").read_text()
    block = re.search(r"## The loop, closed.*?```sh\n(.*?)```", text, re.S)[1]
    for line in block.replace("\\\n", " ").splitlines():
        python, m, module, *arguments = shlex.split(line)
        assert (python, m) == ("python", "-m")
        name = module.rpartition(".")[2]
        word = f"{name} {arguments[0]}" if name == "clickme_game" else name
        yield module, [*arguments, *SMALLER.get(word, [])]


@pytest.mark.slow
def test_the_network_that_people_taught_plays_the_next_round(tmp_path):
    (tmp_path / "experiments").symlink_to(ROOT / "experiments")
    said = []
    for module, arguments in commands():
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "TF_CPP_MIN_LOG_LEVEL": "2"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{module} {arguments}\n{done.stdout}\n{done.stderr}"
        said.append(done.stdout)
    assert len(said) == 9

    rows = list(csv.DictReader((tmp_path / "clicks.csv").open()))
    assert len(rows) > 60 and len({row["user_id"] for row in rows}) > 20
    found = json.loads((tmp_path / "loop_data" / "reliability" / "reliability.json").read_text())
    # What is planted: everybody knows the figure, so two people agree far beyond two pictures.
    two = found["estimators"]["two_participants"]
    assert two["value"] > two["null"] + 0.3 and two["p"] <= 0.01

    with sqlite3.connect(tmp_path / "loop.db") as connection:
        query = "SELECT partner_hash, count(*) FROM rounds GROUP BY 1 ORDER BY min(rowid)"
        (_, before), (trained, after) = connection.execute(query).fetchall()
        asked = connection.execute(
            "SELECT count(*) FROM queries JOIN rounds ON id = round_id WHERE partner_hash = ?",
            (trained,),
        ).fetchone()[0]
    assert before > 60 and after >= 10 and asked >= after / 2
