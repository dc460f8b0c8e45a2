"""The batch script gives every task its TF_CONFIG and all arguments; Slurm's programs are faked."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from gala_tf.distribution import cluster

SCRIPT = Path(__file__).resolve().parents[2] / "experiments" / "slurm.sbatch"

SCONTROL = """#!/bin/bash
[ "$*" = "show hostnames gpu[07-08,11]" ] && printf 'gpu07\\ngpu08\\ngpu11\\n'
"""
# Starts the tasks one after the other, as srun would at the same time on three nodes.
SRUN = """#!/bin/bash
while [[ "$1" == --* ]]; do shift; done
for SLURM_PROCID in 0 1 2; do SLURM_PROCID=$SLURM_PROCID "$@" || exit $?; done
"""
PYTHON = """#!/bin/bash
printf '%s\\n' "$TF_CONFIG" >> "$RECORD"
printf '%s\\n' "$@" > "$RECORD.arguments"
exit ${STATUS:-0}
"""


@pytest.fixture
def submit(tmp_path):
    """Runs the script as sbatch would, with arguments; returns (status, configs, arguments)."""
    for name, text in (("scontrol", SCONTROL), ("srun", SRUN), ("fake_python", PYTHON)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)

    def run(*arguments, **environment):
        environment = {
            **os.environ,
            "PATH": f"{tmp_path}:{os.environ['PATH']}",
            "SLURM_JOB_NODELIST": "gpu[07-08,11]",
            "SLURM_JOB_ID": "123456",
            "PYTHON": "fake_python",
            "RECORD": str(tmp_path / "record"),
            **environment,
        }
        result = subprocess.run(["bash", SCRIPT, *arguments], env=environment)
        configs = (tmp_path / "record").read_text().splitlines()
        return result.returncode, configs, (tmp_path / "record.arguments").read_text()

    return run


def test_every_task_gets_its_place(submit):
    status, configs, arguments = submit("--data_dir=/with space", "--epochs=3")
    assert status == 0 and len(configs) == 3
    for place, config in enumerate(configs):
        found = cluster.from_environment({"TF_CONFIG": config})
        assert found.addresses == ("gpu07:23456", "gpu08:23456", "gpu11:23456")
        assert found.place == place
        assert list(json.loads(config)) == ["cluster", "task"]
    assert arguments == "-m\ngala_tf.train\n--data_dir=/with space\n--epochs=3\n"


def test_the_port_can_be_chosen_and_failures_are_passed_on(submit):
    status, configs, _ = submit("--epochs=3", TRAINING_PORT="5000", STATUS="143")
    assert status == 143
    found = cluster.from_environment({"TF_CONFIG": configs[0]})
    assert found.addresses[2] == "gpu11:5000"
