"""Environments of the peers, each of its own, so that no package of theirs meets ours.

    python experiments/benchmarks/parts/environments.py             all of them
    python experiments/benchmarks/parts/environments.py torch       some

They lie in `.venvs/`, beside the project's `.venv`; benchmarks leave a peer out, and say so, where
its environment is missing.
"""

import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[3] / ".venvs"
PACKAGES = {
    "torch": ("torch", "torchvision", "webdataset", "simplejpeg", "pillow", "numpy"),
    "jax": ("jax", "keras", "numpy"),
    "grain": ("grain", "pillow", "numpy"),
}


def python_of(name: str) -> str:
    """The Python of a peer's environment; FileNotFoundError: there is none."""
    path = FOLDER / f"peer_{name}" / "bin" / "python"
    if not path.exists():
        script = "experiments/benchmarks/parts/environments.py"
        raise FileNotFoundError(f"no environment at {path.parents[1]}: python {script} {name}")
    return str(path)


def make(name: str) -> None:
    """Makes an environment with its packages, as wheels, or brings it up to date."""
    folder = FOLDER / f"peer_{name}"
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--upgrade"]
    subprocess.run([*pip, "--only-binary", ":all:", *PACKAGES[name]], check=True)
    print(f"{folder}: {', '.join(PACKAGES[name])}")


if __name__ == "__main__":
    for wanted in sys.argv[1:] or PACKAGES:
        if wanted not in PACKAGES:
            sys.exit(f"{wanted}: no such environment; there are {', '.join(PACKAGES)}")
        make(wanted)
