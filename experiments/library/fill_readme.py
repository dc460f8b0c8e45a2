"""Writes the tables of all rows into this folder's README, between its marks, and the figure.

python experiments/library/fill_readme.py
"""

import re
from pathlib import Path

import architectures
import fine_tuning
import finished
import gates_and_loops
from absl import app

HERE = Path(__file__).parent
MODULES = (architectures, fine_tuning, gates_and_loops)


def rows_of(module) -> dict:
    """The committed rows of a script."""
    load = architectures.load if module is architectures else finished.load
    return load(str(HERE / f"{module.__name__}.jsonl"))


def all_ended(rows: dict) -> bool:
    """Whether every fine-tuning has a row: before, a figure would mislead."""
    return {run.name for run in fine_tuning.RUNS} == set(rows)


def filled(text: str) -> str:
    """The README with the tables of the rows there are."""
    for module in MODULES:
        rows, name = rows_of(module), module.__name__
        shown = module.table(rows) if rows else "No run has ended yet."
        if module is fine_tuning and all_ended(rows):
            shown += "\n\n![Validation errors by epoch](fine_tuning.png)"
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.S)
        if not mark.search(text):
            raise ValueError(f"README.md has no <!-- {name} --> with an <!-- end --> after it.")
        text = mark.sub(lambda found, shown=shown: f"{found[1]}\n{shown}\n\n{found[2]}", text)
    return text


def main(_):
    """Writes both."""
    readme = HERE / "README.md"
    readme.write_text(filled(readme.read_text()))
    rows = rows_of(fine_tuning)
    if all_ended(rows):
        fine_tuning.draw(rows, str(HERE / "fine_tuning.png"))


if __name__ == "__main__":
    app.run(main)
