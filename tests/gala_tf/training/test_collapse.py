"""A layer whose attention says nothing any more is named, once."""

import keras
import numpy as np
import pytest

from gala_tf import models
from gala_tf.training import collapse

SHAPE = dict(stage_blocks=(1, 1), stage_widths=(4, 4), stem="tiny", image_size=8)


def network(attention):
    return models.build_model(attention=attention, attention_units="all", num_classes=2, **SHAPE)


@pytest.mark.parametrize("attention, middle", [("gala", 0.0), ("gala_residual", 1.0)])
def test_measures_by_hand(attention, middle):
    built = network(attention)
    first, second = (f"stage{i}_block1_{attention}" for i in (1, 2))
    assert collapse.names(built) == (
        f"saturation/{first}",
        f"variation/{first}",
        f"saturation/{second}",
        f"variation/{second}",
    )
    flat = np.full((2, 2, 2, 1), middle + 0.999, "float32")
    half = np.array([1.0, 3.0], "float32").reshape(1, 2, 1, 1)  # deviation 1, mean 2
    found = collapse.measure(built, {first: keras.ops.array(flat), second: keras.ops.array(half)})
    np.testing.assert_allclose(found[:2], [1.0, 0.0], atol=1e-6)
    assert float(found[3]) == pytest.approx(0.5)


def test_the_first_images_of_a_batch_are_looked_at():
    built = network("gala")
    first, second = collapse.names(built)[1::2]
    volumes = np.full((collapse.LOOKED_AT + 2, 2, 2, 1), 0.5, "float32")
    volumes[: collapse.LOOKED_AT // 2] = 1.0
    volumes[collapse.LOOKED_AT :] = 1.0  # of these nothing is said
    names = [name.partition("/")[2] for name in (first, second)]
    found = collapse.measure(built, {name: keras.ops.array(volumes) for name in names})
    np.testing.assert_allclose(found[::2], 0.5)


def test_without_an_extent_in_space_nothing_is_measured():
    assert collapse.names(network("se")) == ()


def test_the_alarm_speaks_once_a_layer():
    alarm = collapse.Alarm()
    sound = {"saturation/a": 0.3, "variation/a": 0.2, "variation/b": 0.05, "loss": 1.0}
    assert alarm.look(1, sound) == []
    (said,) = alarm.look(2, {**sound, "saturation/a": 0.97})
    assert "attention of a has collapsed at step 2: 97 % of its |A|" in said
    (said,) = alarm.look(3, {"saturation/a": 0.99, "variation/b": 0.0})
    assert "of b has collapsed at step 3: its map varies by 0 %" in said
    assert alarm.look(4, {"saturation/a": 1.0, "variation/b": 0.0}) == []
