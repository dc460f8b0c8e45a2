"""A partner from an ONNX file: pixels 0..255 in (scaling belongs into the graph).

Beside FILE.onnx lies FILE.json with its classes, in the order of its outputs:

    {"classes": [["n01440764", "tench"], ...], "output": "probabilities"}

`output` may be "logits". A class without a WordNet id has "" in its place.
"""

import hashlib
import json
from pathlib import Path

from data_prep.humans.demo.onnx_network import BadNetwork, OnnxNetwork
from data_prep.humans.game.partners.classes import Classes
from data_prep.humans.game.partners.looking import Looking
from data_prep.humans.game.rules import Rules


def load(argument: str, rules: Rules) -> Looking:
    """`--partner=onnx:FILE`."""
    path = Path(argument)
    if not path.is_file():
        raise ValueError(f"--partner=onnx:{argument}: there is no such file.")
    classes, output = _description(path.with_suffix(".json"))
    network = OnnxNetwork(path, logits=output == "logits")
    if network.count != len(classes):
        raise BadNetwork(
            f"{path} tells {network.count} classes apart, but {len(classes)} are named."
        )
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return Looking(network, classes, rules, {"name": path.name, "kind": "onnx", "sha256": sha256})


def _description(path):
    """(classes, output) of the file beside the network."""
    form = '{"classes": [["n01440764", "tench"], ...], "output": "probabilities" or "logits"}'
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        pairs = [(str(wnid), str(name)) for wnid, name in content["classes"]]
        wnids, names = zip(*pairs, strict=True)
        output = content.get("output", "probabilities")
        if output not in ("probabilities", "logits"):
            raise ValueError(f"output is {output!r}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{path} must name the network's classes: {form} ({error}).") from None
    return Classes(wnids, names), output
