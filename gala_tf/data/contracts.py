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

    image: Tensor  # uint8 [B, H, W, 3], 0...255; the model normalises, on the device
    label: Tensor  # int32 [B], 0-based
    clickmap: Tensor  # float32 [B, h, w, 1], >= 0, any scale; all zero where has_clickmap is 0
    has_clickmap: Tensor  # float32 [B], 0 for a missing, empty or non-finite map, else 1
    # Training, float32 [B]: 1 where image, but not clickmap, is still to be mirrored, by
    # `preprocessing.mirror`, on the device
    mirrored: NotRequired[Tensor]
    is_real: NotRequired[Tensor]  # evaluation, float32 [B]: 0 for padding
    # Evaluation, int32 [B]: place in the split, -1 for padding (strings cannot enter a TPU step)
    image_index: NotRequired[Tensor]


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
