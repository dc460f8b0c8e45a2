"""Shared by all tests: one backend, seeds, the float32 policy, and where real images may lie."""

import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

from gala_tf.command_line import kernels

kernels.prefer_onednn()  # as commands do, before TensorFlow is imported

import keras  # noqa: E402
import pytest  # noqa: E402

REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def fresh_keras():
    """Every test starts with the same seeds and policy, whatever the one before did."""
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(0)
    yield
    keras.config.set_dtype_policy("float32")


@pytest.fixture
def real_data():
    """The directory of real images, where there is one."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real images at {REAL_DATA}")
    return REAL_DATA


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A small data set with train, validation and test splits (`small_data`)."""
    import small_data

    directory = tmp_path_factory.mktemp("squares")
    small_data.build(directory)
    return directory
