"""The environment that the slow tests of this room run in."""

import pytest

from gala_tf.tpu_checking import environment


@pytest.fixture(scope="module")
def where():
    """The environment; skips where it has not been made."""
    try:
        found = environment.find(environment.default_directory())
    except ValueError as error:
        pytest.skip(str(error))
    if found is None:
        pytest.skip(
            f"no environment at {environment.default_directory()}: `python -m gala_tf.tpu_check` "
            f"makes it (2.6 GB), or set {environment.VARIABLE}"
        )
    return found
