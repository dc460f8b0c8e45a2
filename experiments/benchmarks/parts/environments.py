"""Environments of the peers, each of its own, so that no package of theirs meets ours.

    python experiments/benchmarks/parts/environments.py             all of them
    python experiments/benchmarks/parts/environments.py --only=torch

They lie in `.venvs/`, beside the project's `.venv`; benchmarks leave a peer out, and say so, where
its environment is missing.
"""

import subprocess
import venv
from pathlib import Path

from absl import flags

from gala_tf import command

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
        raise FileNotFoundError(
            f"no environment at {path.parents[1]}: python {script} --only={name}"
        )
    return str(path)


def make(name: str) -> None:
    """Makes an environment with its packages, as wheels, or brings it up to date."""
    folder = FOLDER / f"peer_{name}"
    venv.create(folder, with_pip=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--upgrade"]
    subprocess.run([*pip, "--only-binary", ":all:", *PACKAGES[name]], check=True)
    print(f"{folder}: {', '.join(PACKAGES[name])}")


def main() -> None:
    """Makes those that are asked for."""
    for wanted in flags.FLAGS.only:
        if wanted not in PACKAGES:
            raise ValueError(f"--only: no environment {wanted}; there are {', '.join(PACKAGES)}.")
        make(wanted)


if __name__ == "__main__":
    flags.DEFINE_list("only", list(PACKAGES), "Environments to make.")
    command.run(main)
