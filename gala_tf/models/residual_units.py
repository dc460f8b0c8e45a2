"""What a ResNet is put together from: stem, residual units of two versions, head.

    unit, version 1 (post-activation)           unit, version 2 (pre-activation)

    x ---+-- conv1x1 BN ReLU                     x -- BN ReLU --+-- conv1x1 BN ReLU
         |   conv3x3 BN ReLU  (has the stride)   |              |   conv3x3 BN ReLU
         |   conv1x1 BN                          |   (shortcut) |   conv1x1
         |   [attention]                         |              |   [attention]
         +------ add                             +----------- add
                 ReLU

The attention layer sits on "the final activity in a dense path of a residual layer", before the
shortcut is added (section 3.2).

    B batch, H W space, C channels, K classes, s stride of the stem
"""

import dataclasses
from collections.abc import Callable, Sequence

import keras

from gala_tf.layers.batch_norm import BatchNorm
from gala_tf.layers.class_logits import ClassLogits
from gala_tf.layers.squeeze_excite import scaled_normal

EXPANSION = {"basic": 1, "bottleneck": 4}  # channels at a unit's end / its width

# stem: (kernel, stride, whether a 3x3 max-pooling of stride 2 follows)
STEMS = {
    "imagenet": (7, 2, True),  # 224 px -> 56
    "small": (3, 2, False),  # 64 px -> 32
    "tiny": (3, 1, False),  # 32 px -> 32
}

# Pixel values 0..255 -> about zero mean and unit variance (ImageNet's training set, RGB).
PIXEL_MEAN = (0.485 * 255, 0.456 * 255, 0.406 * 255)
PIXEL_STD = (0.229 * 255, 0.224 * 255, 0.225 * 255)


@dataclasses.dataclass(frozen=True)
class Layers:
    """The network's layers, from a convolution to a whole unit; each gets a name, which is API."""

    unit: str
    version: str
    slots: Sequence[str]  # units with the slot for attention
    make_attention: Callable[[str], keras.layers.Layer] | None
    attention_suffix: str
    zero_init_residual: bool
    batch_norm: dict  # arguments of BatchNorm
    stride_in_1x1: bool
    attention: dict = dataclasses.field(default_factory=dict)  # what the slots saw, by layer
    activity: dict = dataclasses.field(default_factory=dict)  # and passed on, by unit

    # --- layers

    def conv(self, x, filters, kernel, stride, name):
        return keras.layers.Conv2D(
            filters,
            kernel,
            stride,
            padding="same" if stride == 1 else "valid",
            use_bias=False,
            kernel_initializer=scaled_normal(),
            name=name,
        )(x if stride == 1 or kernel == 1 else self.pad(x, kernel, name))

    def pad(self, x, kernel, name):
        # Symmetric, as in the original networks; TensorFlow's SAME pads a strided convolution on
        # one side only, which shifts its output by half a pixel.
        return keras.layers.ZeroPadding2D(kernel // 2, name=f"{name}_pad")(x)

    def norm(self, x, name, gamma="ones"):
        return BatchNorm(gamma_initializer=gamma, name=name, **self.batch_norm)(x)

    def norm_relu(self, x, name):
        return keras.layers.ReLU(name=f"{name}_relu")(self.norm(x, f"{name}_bn"))

    def conv_norm_relu(self, x, filters, kernel, stride, name):
        return self.norm_relu(self.conv(x, filters, kernel, stride, name), name)

    # --- a unit

    def dense_path(self, x, width, stride, name):
        """The unit's convolutions, each with its BN and ReLU but the last; and the last's name."""
        if self.unit == "basic":
            x = self.conv_norm_relu(x, width, 3, stride, f"{name}_conv1")
            return self.conv(x, width, 3, 1, f"{name}_conv2"), f"{name}_conv2"
        # The 3x3 has the stride: in the first 1x1 it would skip three of four positions unseen.
        first, second = (stride, 1) if self.stride_in_1x1 else (1, stride)
        x = self.conv_norm_relu(x, width, 1, first, f"{name}_conv1")
        x = self.conv_norm_relu(x, width, 3, second, f"{name}_conv2")
        return self.conv(x, width * EXPANSION[self.unit], 1, 1, f"{name}_conv3"), f"{name}_conv3"

    def attend(self, x, name):
        """The slot: gates the dense path's final activity and keeps both by name."""
        if name not in self.slots:
            return x
        if self.make_attention is not None:
            layer_name = f"{name}_{self.attention_suffix}"
            x, self.attention[layer_name] = self.make_attention(layer_name)(x)
        self.activity[name] = x
        return x

    def residual_unit(self, x, width, stride, name):
        """One unit: [B, H, W, C] -> [B, H / stride, W / stride, width * expansion]."""
        unit = self.post_activation_unit if self.version == "v1" else self.pre_activation_unit
        channels = width * EXPANSION[self.unit]
        # Only where shapes differ; elsewhere the shortcut is the identity.
        projection = channels if stride > 1 or x.shape[-1] != channels else None
        return unit(x, width, stride, projection, name)

    def post_activation_unit(self, x, width, stride, projection, name):
        residual, last = self.dense_path(x, width, stride, name)
        # A gate on zeros has no gradient: gamma = 0 is for units without one.
        gated = self.make_attention is not None and name in self.slots
        gamma = "zeros" if self.zero_init_residual and not gated else "ones"
        residual = self.norm(residual, f"{last}_bn", gamma)
        if projection:
            x = self.conv(x, projection, 1, stride, f"{name}_shortcut")
            x = self.norm(x, f"{name}_shortcut_bn")
        x = keras.layers.Add(name=f"{name}_add")([x, self.attend(residual, name)])
        return keras.layers.ReLU(name=f"{name}_relu")(x)

    def pre_activation_unit(self, x, width, stride, projection, name):
        preactivation = self.norm_relu(x, f"{name}_pre")
        residual, _ = self.dense_path(preactivation, width, stride, name)
        if projection:
            x = self.conv(preactivation, projection, 1, stride, f"{name}_shortcut")
        return keras.layers.Add(name=f"{name}_add")([x, self.attend(residual, name)])

    # --- before and after the units

    def stem(self, images, stem, width):
        """Pixels [B, H, W, 3] -> [B, H / s, W / s, width], of zero mean and unit variance."""
        x = keras.layers.Rescaling(
            scale=[float(1 / std) for std in PIXEL_STD],
            offset=[float(-mean / std) for mean, std in zip(PIXEL_MEAN, PIXEL_STD, strict=True)],
            dtype="float32",  # 0..255 is exact in bfloat16, its centred value is not
            name="normalise",
        )(images)
        kernel, stride, max_pool = STEMS[stem]
        x = self.conv(x, width, kernel, stride, "stem_conv")
        if self.version == "v1":
            x = self.norm_relu(x, "stem")
        if max_pool:
            x = self.pad(x, 3, "stem_pool")
            x = keras.layers.MaxPooling2D(3, 2, name="stem_pool")(x)
        return x

    def features(self, x):
        """What the head reads, [B, H, W, C]: v2 has its last normalisation still to come."""
        return self.norm_relu(x, "head") if self.version == "v2" else x

    def head(self, x, num_classes, class_names=()):
        """Features [B, H, W, C] -> logits [B, K]."""
        x = keras.layers.GlobalAveragePooling2D(name="head_pool")(x)  # [B, C]
        return ClassLogits(
            num_classes,
            class_names=class_names,
            kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
            dtype="float32",  # softmax in float32 under every precision policy
            name="logits",
        )(x)
