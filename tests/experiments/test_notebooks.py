"""The notebooks run from top to bottom, without Jupyter, and say what their text says."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOK = ROOT / "experiments" / "notebooks" / "gala_in_your_network.ipynb"


def code_of(notebook):
    cells = json.loads(notebook.read_text())["cells"]
    return ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]


def test_it_compiles_and_holds_no_paths():
    for cell in code_of(NOTEBOOK):
        compile(cell, NOTEBOOK.name, "exec")
    assert not re.search(r"/(home|root|work|tmp)/", NOTEBOOK.read_text())


@pytest.mark.slow
def test_gala_in_your_network(tmp_path):
    script = tmp_path / "notebook.py"
    script.write_text("\n\n".join(code_of(NOTEBOOK)))
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "MPLBACKEND": "agg"},
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert time.monotonic() - began < 180  # on two cores
    said = done.stdout
    assert "gala_residual: largest change of a probability" in said
    changed = float(re.search(r"gala_residual: largest change of a probability (\S+),", said)[1])
    assert changed < 1e-5
    score, prior = re.search(r"with maps .*score (\S+) \(centre prior (\S+)\)", said).groups()
    assert float(score) > float(prior) + 0.1
