"""The virtual environment that the check runs in: TensorFlow's TPU build, JAX and libtpu.

It is none of the package's extras: tensorflow-tpu and tensorflow-cpu unpack into one directory, and
this libtpu compiles, but does not run under this TensorFlow. About 2.6 GB. libtpu comes under
Google's terms for its platform, so nothing of it is kept here.
"""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

# Exact: private parts of JAX are used, and the compiler's version decides the numbers.
PINNED = {
    "tensorflow-tpu": "2.20.0",
    "keras": "3.15.1",
    "jax": "0.10.2",
    "jaxlib": "0.10.2",
    "libtpu": "0.0.52",
}
# What gala_tf itself needs to build a network and its input pipelines.
OTHERS = (
    "absl-py",
    "google-crc32c",
    "matplotlib",
    "numpy",
    "pillow",
    "scipy",
    "tensorboard",
    "tqdm",
)
VARIABLE = "GALA_TPU_ENVIRONMENT"
PACKAGE_ROOT = Path(__file__).resolve().parents[2]

_VERSIONS = """
import importlib.metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        found[name] = None
print(json.dumps(found))
"""


def cache_directory() -> Path:
    """Where this project keeps what can be made again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "gala_tf"


def default_directory() -> Path:
    """`$GALA_TPU_ENVIRONMENT`, or a directory in the user's cache."""
    return Path(os.environ.get(VARIABLE) or cache_directory() / "tpu_environment")


@dataclasses.dataclass(frozen=True)
class Environment:
    """A virtual environment that holds PINNED."""

    directory: Path

    @property
    def python(self) -> Path:
        return self.directory / "bin" / "python"

    def run(self, module: str, request: dict, **more: str) -> subprocess.CompletedProcess:
        """Runs `python -m module REQUEST.json`, gala_tf importable, output captured as text.

        `more` are further variables of the environment.
        """
        path = os.environ.get("PYTHONPATH")
        variables = {
            **os.environ,
            "PYTHONPATH": f"{PACKAGE_ROOT}{os.pathsep}{path}" if path else str(PACKAGE_ROOT),
            # Lowering needs no libtpu, and this one would end TensorFlow's process.
            "TPU_LIBRARY_PATH": "/nowhere",
            "TF_CPP_MIN_LOG_LEVEL": "2",
            "PYTHONWARNINGS": "ignore",
            "CUDA_VISIBLE_DEVICES": "",
            **more,
        }
        with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
            json.dump(request, file)
            file.flush()
            command = [str(self.python), "-m", module, file.name]
            return subprocess.run(command, env=variables, capture_output=True, text=True)


def find(directory: Path) -> Environment | None:
    """The environment in `directory`, or None where there is no Python.

    ValueError: it lacks packages, or has others than PINNED.
    """
    environment = Environment(Path(directory))
    if not environment.python.exists():
        return None
    names = [*PINNED, *OTHERS]
    # Asked of its own Python: what this process could import is something else.
    result = subprocess.run(
        [str(environment.python), "-c", _VERSIONS, *names], capture_output=True, text=True
    )
    if result.returncode:
        raise ValueError(
            f"--environment={directory}: its Python does not run ({result.stderr.strip()[-300:]}). "
            "Remove the directory, and it is made again."
        )
    found = json.loads(result.stdout)
    wrong = [
        f"{name} {version or 'missing'} (needed: {PINNED.get(name, 'any')})"
        for name, version in found.items()
        if version is None or version != PINNED.get(name, version)
    ]
    if wrong:
        raise ValueError(
            f"--environment={directory} does not suit: {'; '.join(wrong)}. Remove it, and it is "
            f"made again; or run: {environment.python} -m pip install {' '.join(requirements())}"
        )
    return environment


def find_or_make(directory: str) -> Environment:
    """That in `directory`, or in the default one for ""; ValueError as `find` and `make`."""
    wanted = Path(directory or default_directory())
    return find(wanted) or make(wanted)


def make(directory: Path) -> Environment:
    """Makes the environment: downloads about 0.9 GB once.

    ValueError: it could not be made; the message ends with what pip said.
    """
    directory = Path(directory)
    print(f"making a virtual environment of 2.6 GB in {directory}, once ...", flush=True)
    pip = [str(directory / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    for command in (
        [sys.executable, "-m", "venv", str(directory)],
        [*pip, "--only-binary", ":all:", *requirements()],
    ):
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            raise ValueError(
                f"--environment={directory} could not be made; {' '.join(command[:5])} ... said: "
                f"{result.stderr.strip()[-1000:]}"
            )
    return find(directory)


def requirements() -> list[str]:
    """What pip installs."""
    return [*(f"{name}=={version}" for name, version in PINNED.items()), *OTHERS]
