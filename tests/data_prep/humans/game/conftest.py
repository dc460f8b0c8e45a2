"""People by name, in a small world."""

import game_world
import pytest


@pytest.fixture
def world(tmp_path):
    with game_world.World(tmp_path) as made:
        yield made


@pytest.fixture
def alice(world):
    """Plays."""
    return world.person()


@pytest.fixture
def charlie(world):
    """Plays, too, and must get nothing of Alice's."""
    return world.person()
