"""What passes between the rooms, as types: a batch, a network and its outputs, a strategy.

For readers and for the type checker; nothing here is computed or imported at run time. Letters: B
batch, H W space of the image, h w of a map, C channels, K classes.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, NotRequired, Protocol, TypedDict

# A tensor or array of any backend. Keras and TensorFlow carry no types, so checkers see Any; the
# name says what a reader needs to know.
Tensor = Any


class Batch(TypedDict):
    """What the input gives, every key always present, shapes static."""

    image: Tensor  # [B, H, W, 3] float32
    label: Tensor  # [B] int32, 0-based
    clickmap: Tensor  # [B, h, w, 1] float32, >= 0
    has_clickmap: Tensor  # [B] float32, 0 or 1
    mirrored: NotRequired[Tensor]  # training, [B] 0 or 1: the flip is made on the device
    is_real: NotRequired[Tensor]  # evaluation, [B] float32: 0 marks padding
    image_index: NotRequired[Tensor]  # evaluation, [B] int32: strings cannot enter a TPU step


class Outputs(TypedDict):
    """What a network of `gala_tf.models` gives, by layer where there are several."""

    logits: Tensor  # [B, K] float32
    attention: Mapping[str, Tensor]  # `stage3_block1_gala` -> [B, H, W, C], or broadcasts to it
    activity: Mapping[str, Tensor]  # `stage3_block1` -> [B, H, W, C], gated where there is a gate


class Network(Protocol):
    """A Keras model whose outputs have names."""

    trainable_variables: list[Any]
    layers: list[Any]

    def __call__(self, images: Tensor, training: bool | None = None) -> Outputs: ...


class Strategy(Protocol):
    """The part of `tf.distribute.Strategy` that training and evaluation use."""

    num_replicas_in_sync: int

    def scope(self) -> AbstractContextManager[Any]: ...

    def run(self, fn: Callable[..., Any], args: tuple[Any, ...] = ()) -> Any: ...

    def gather(self, value: Any, axis: int) -> Tensor: ...

    def distribute_datasets_from_function(self, dataset_fn: Callable[..., Any]) -> Any: ...
