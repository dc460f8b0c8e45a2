"""Channels are last; where Keras is set otherwise, every entrance says so."""

import keras
import numpy as np
import pytest

from gala_tf import config, losses, models
from gala_tf.explain import network_parts, saved_models
from gala_tf.layers import GALA, GlobalContext, LocalSaliency, SqueezeExcite
from gala_tf.models import resnet
from gala_tf.runs import directory

X = np.random.default_rng(0).normal(size=(2, 8, 6, 6)).astype("float32")


@pytest.fixture
def channels_first():
    keras.config.set_image_data_format("channels_first")
    yield
    keras.config.set_image_data_format("channels_last")


SMALL = dict(stage_blocks=(1, 1), stage_widths=(4, 4), stem="small", image_size=16)
ENTRANCES = {
    "GALA": lambda: GALA(name="mine")(X),
    "SqueezeExcite": lambda: SqueezeExcite(name="mine")(X),
    "GlobalContext": lambda: GlobalContext(name="mine")(X),
    "LocalSaliency": lambda: LocalSaliency(name="mine")(X),
    "build_model": lambda: models.build_model(num_classes=2, attention_units="all", **SMALL),
    "without attention": lambda: models.build_model(num_classes=2, attention="none", **SMALL),
    "build_resnet": lambda: resnet.build_resnet(unit="bottleneck", num_classes=2, **SMALL),
    "clickmap_loss": lambda: losses.clickmap_loss(X, X[:, :1], np.ones(2)),
    "column_norm": lambda: losses.column_norm(X),
}


@pytest.mark.parametrize("name", ENTRANCES)
def test_channels_first_is_refused_by_name(channels_first, name):
    with pytest.raises(ValueError, match="image_data_format 'channels_first'.*channels_last") as e:
        ENTRANCES[name]()
    assert "keras.config.set_image_data_format('channels_last')" in str(e.value)


def test_a_map_with_channels_first_is_refused():
    with pytest.raises(ValueError, match=r"\[batch, height, width, 1\].*\(2, 1, 6, 6\)"):
        losses.clickmap_loss(X, X[:, :1], np.ones(2))


def test_commands_set_the_order_for_themselves(channels_first):
    run_config = config.Config(attention="none", attention_units="all", **SMALL)
    network = directory.build_network(run_config, 2)
    assert network(np.ones((1, 16, 16, 3), "float32"))["logits"].shape == (1, 2)


def test_input_scaling_does_not_heed_the_setting(channels_first):
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 5, 5, 3)).astype("float32")
    first = {name: saved_models.scale_input(pixels, name) for name in saved_models.INPUT_SCALING}
    keras.config.set_image_data_format("channels_last")
    for name, scaled in first.items():
        np.testing.assert_array_equal(scaled, saved_models.scale_input(pixels, name))


def test_maps_of_a_channels_first_layer_are_refused():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Permute((3, 1, 2))(inputs)
    x = keras.layers.Conv2D(4, 3, data_format="channels_first", name="conv")(x)
    network = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    with pytest.raises(ValueError, match="'conv' .* data_format 'channels_first'"):
        network_parts.layer_network(network, "conv")
