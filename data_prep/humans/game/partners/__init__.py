"""Partners: what looks through a player's bubbles and says how well it recognises the picture.

    partners.load("demo", rules)               EfficientNet-Lite0, from an installed package
    partners.load("onnx:FILE", rules)          any network as ONNX, classes beside it (onnx_file.py)
    partners.load("savedmodel:DIR", rules)     what `gala_tf.export` writes; imports TensorFlow
    partners.load("serving:URL", rules)        the same, behind TensorFlow Serving's REST interface
    partners.load("reference:SHARE", rules)    recognises when enough of a mask is shown; for tests

A partner gets whole pictures and what is shown of them, and composes its own view by the rules.
Pictures and partner meet by WordNet id or class name (`Classes`), never by position. To add a kind:
a module with `load(argument, rules, **options) -> Partner`, and one line in KINDS.

`asking.Asker` puts one thread and a bounded line in front of a partner; handlers ask through it.
Beside it:

classes.py     how classes of pictures and partners meet
looking.py     what partners that are networks share: the picture through the bubbles, cropped
demo.py, onnx_file.py, saved_model.py, serving.py, reference.py  the kinds
"""

import dataclasses
import importlib
import types
from typing import Protocol

import numpy as np

from data_prep.humans.game.partners.classes import Classes
from data_prep.humans.game.rules import Rules

_HERE = "data_prep.humans.game.partners."
KINDS = types.MappingProxyType(
    {  # kind: (module, what stands after the colon, "" for nothing)
        "demo": (_HERE + "demo", ""),
        "onnx": (_HERE + "onnx_file", "FILE"),
        "savedmodel": (_HERE + "saved_model", "DIR"),
        "serving": (_HERE + "serving", "URL"),
        "reference": (_HERE + "reference", "[SHARE]"),
    }
)


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a partner says of B questions.

    Attributes:
        rank: of the target, 1 = best, ties against the player; int [B].
        probability: of the target; float32 [B].
        top5_class: its five best, index in `Classes`, -1 where it has fewer; int [B, 5].
        top5_probability: theirs; float32 [B, 5].
    """

    rank: np.ndarray
    probability: np.ndarray
    top5_class: np.ndarray
    top5_probability: np.ndarray

    def __getitem__(self, rows) -> "Answer":
        """The answer to some of the questions."""
        return Answer(*(getattr(self, field.name)[rows] for field in dataclasses.fields(self)))


class Partner(Protocol):
    """Whoever looks through the bubbles. Called by one thread at a time.

    Attributes:
        classes: what it can recognise; a target is an index into them.
    """

    classes: Classes

    def answer(
        self,
        pixels: np.ndarray,
        masks: np.ndarray,
        targets: np.ndarray,
        seeds: np.ndarray | None = None,
    ) -> Answer:
        """Looks at B pictures through their bubbles.

        Args:
            pixels: the whole pictures, uint8 [B, 256, 256, 3].
            masks: what is shown, bool [B, 256, 256] (`rules.view_mask`).
            targets: class of each picture, index into `classes`, int [B].
            seeds: of the background's noise, one a round, int [B]; default 0.

        Raises:
            PartnerFailed: it could not answer.
        """

    def importance(self, pixels: np.ndarray, target: int) -> np.ndarray:
        """How much it needs each pixel of a picture to recognise it, >= 0 [256, 256]."""

    def with_rules(self, rules: Rules) -> "Partner":
        """The same partner under other rules; nothing is loaded again."""

    def describe(self) -> dict:
        """{"name", "kind", "sha256", "classes": [(wnid, name) ...], "crop", "rules"} for exports.

        `sha256` names the network: of its file, or of all its files.
        """


class PartnerFailed(Exception):
    """The partner could not answer; the message says what to do."""


def load(spec: str, rules: Rules, **options) -> Partner:
    """The partner that `--partner=SPEC` names; options go to its kind's `load`.

    Raises:
      ValueError: no such kind, or its file is missing, damaged or refused.
    """
    kind, _, argument = spec.partition(":")
    expected = ", ".join(f"{name}:{value}" if value else name for name, (_, value) in KINDS.items())
    wanted = KINDS[kind][1] if kind in KINDS else ""
    fits = bool(argument) == bool(wanted) or wanted.startswith("[")  # in brackets: may be left out
    if kind not in KINDS or not fits:
        raise ValueError(f"--partner={spec}: expected one of {expected}.")
    # Late: each kind needs packages of its own, and one of them TensorFlow.
    module = importlib.import_module(KINDS[kind][0])
    return module.load(argument, rules, **options)
