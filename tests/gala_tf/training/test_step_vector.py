"""A step's vector: what is packed comes out again by name, on the device and on the host."""

import numpy as np
import pytest
import tensorflow as tf

from gala_tf.training import step_vector

LAYOUT = step_vector.Layout(
    scalars=("loss", "top1"),
    variables=("stem/kernel", "stage3_block1_gala/a", "stage3_block1_gala/m"),
    norms=("stem_bn",),
    checks=("label", "map"),
    attention=("stage3_block1_gala",),
    collapse=("saturation/stage3_block1_gala",),
)
PARTS = step_vector.Parts([3.0, 0.5], [16.0, 4.0, 5.0], [1.0], [0.0, 2.0], [0.25])


@pytest.mark.parametrize("convert", [tf.convert_to_tensor, np.asarray])
def test_what_is_packed_is_unpacked(convert):
    vector = LAYOUT.pack(PARTS)
    assert vector.shape == [LAYOUT.width] == [9]
    found = LAYOUT.unpack(convert(vector))
    for name, expected in PARTS._asdict().items():
        np.testing.assert_array_equal(getattr(found, name), expected, err_msg=name)


def test_numbers_for_the_log_have_names():
    """Norms are of the whole gradient, and of what attends."""
    assert step_vector.describe(LAYOUT, LAYOUT.pack(PARTS).numpy()) == {
        "loss": 3.0,
        "top1": 0.5,
        "gradient_norm": 5.0,
        "gradient_norm/stage3_block1_gala": 3.0,
        "saturation/stage3_block1_gala": 0.25,
    }
