"""One world a test."""

import experiment_world
import pytest


@pytest.fixture
def world(tmp_path):
    """Twenty images in five blocks, one round of training."""
    made = experiment_world.World(tmp_path)
    yield made
    made.close()
