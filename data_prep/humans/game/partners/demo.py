"""The built-in partner: EfficientNet-Lite0 (`data_prep.humans.demo.lite0`)."""

from data_prep.humans.demo import lite0
from data_prep.humans.demo.onnx_network import OnnxNetwork
from data_prep.humans.game.partners.classes import Classes
from data_prep.humans.game.partners.looking import Looking
from data_prep.humans.game.rules import Rules
from data_prep.readers.imagenet import imagenet_classes


def load(argument: str, rules: Rules) -> Looking:
    """`--partner=demo`."""
    about = {"name": "EfficientNet-Lite0", "kind": "demo", "sha256": lite0.WEIGHTS_SHA256}
    classes = Classes(imagenet_classes.wnids(), imagenet_classes.class_names())
    return Looking(OnnxNetwork(lite0.onnx_file()), classes, rules, about)
