"""The reason in a TensorFlow error, without the names around it."""

import pytest
import tensorflow as tf

from gala_tf.data.messages import plain_message


@pytest.mark.parametrize(
    "message, words",
    [
        ("{{function_node A}} a.jpg; No such file [Op:ReadFile]\nmore", "a.jpg; No such file"),
        ("{{function_node a}} {{node b}} bad JPEG", "bad JPEG"),
        ("nothing around it.", "nothing around it."),
    ],
)
def test_by_hand(message, words):
    assert plain_message(tf.errors.InvalidArgumentError(None, None, message)) == words
    assert plain_message(OSError(message)) == words
