"""The library's networks, and attention for anyone's.

networks        ResNets as functions, as `keras.applications` has them: `gala_resnet50(...)`
insertion       GALA in a network that is there already, its weights kept
pretrained      weights from files of torchvision, timm and ours
by_name         networks by name and size: what `--depth`, `--attention` and their kin build
resnet          the ResNet, an attention slot in every unit, drawn in residual_units
"""

from gala_tf.models.by_name import build_model, parameters, stage_layout
from gala_tf.models.insertion import add_attention
from gala_tf.models.networks import (
    gala_resnet18,
    gala_resnet34,
    gala_resnet50,
    gala_resnet101,
    gala_resnet152,
    gala_resnet200,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    resnet200,
    se_resnet18,
    se_resnet34,
    se_resnet50,
    se_resnet101,
    se_resnet152,
    se_resnet200,
)
from gala_tf.models.pretrained import load_weights
from gala_tf.models.resnet import decayed_kernels, layer_number

__all__ = [
    "add_attention",
    "build_model",
    "decayed_kernels",
    "gala_resnet18",
    "gala_resnet34",
    "gala_resnet50",
    "gala_resnet101",
    "gala_resnet152",
    "gala_resnet200",
    "layer_number",
    "load_weights",
    "parameters",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnet200",
    "se_resnet18",
    "se_resnet34",
    "se_resnet50",
    "se_resnet101",
    "se_resnet152",
    "se_resnet200",
    "stage_layout",
]
