"""What the tests of the built-in pictures and partner need."""

import pytest

from data_prep.humans import demo


@pytest.fixture(scope="session")
def pictures():
    """The built-in pictures; skips where the extra [demo] is not installed."""
    try:
        return demo.pictures()
    except demo.DemoMissing as missing:
        pytest.skip(str(missing))
