"""One world a test, on both back ends."""

import experiment_world
import pytest


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def world(request, tmp_path):
    """Twenty images in five blocks, one round of training."""
    postgres = request.param == "postgresql"
    address = request.getfixturevalue("postgres") if postgres else ""
    made = experiment_world.World(tmp_path, address)
    yield made
    made.close()
