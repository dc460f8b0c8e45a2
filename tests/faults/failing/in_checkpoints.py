"""The newest rolling checkpoint, or the only best one, is damaged on the disk."""

import functools

import keras
import numpy as np
from absl import logging
from faults.failing import (
    FAILURE,
    FELL_BACK,
    HARMLESS,
    NAMED,
    Kind,
    cut,
    empty,
    flip_a_bit,
    noise,
    remove,
)

from gala_tf.runs import checkpoints
from gala_tf.training import optimizers

FILES = {
    "values": "variables.data-00000-of-00001",
    "index": "variables.index",
    "marker": checkpoints.MARKER,
}
DAMAGES = {
    "a bit flips": (flip_a_bit, 3),
    "16 bytes become noise": (noise, 1),
    "cut off": (cut, 1),
    "empty": (empty, 1),
    "missing": (remove, 1),
}


class State:
    """A small network and its optimizer, whose values depend on the number of updates."""

    def __init__(self):
        inputs = keras.Input((4,))
        hidden = keras.layers.Dense(3, name="hidden")(inputs)
        self.network = keras.Model(inputs, keras.layers.Dense(2, name="logits")(hidden))
        self.optimizer = optimizers.make_optimizer(0.1, 0.9, loss_scaling=False)
        self.optimizer.build(self.network.trainable_variables)

    def update(self):
        variables = self.network.trainable_variables
        self.optimizer.apply([keras.ops.ones_like(v) for v in variables], variables)

    def values(self):
        return [v.value.numpy() for v in (*self.network.variables, *self.optimizer.variables)]

    def is_at(self, values):
        return all(np.array_equal(a, b) for a, b in zip(self.values(), values, strict=True))


@functools.cache
def states():
    """One to save, and one to restore into: made once, they cost most of a fault."""
    keras.utils.set_random_seed(1)
    return State(), State()


def _save(folder, keep, steps):
    """(directory, {step: values}, facts of the newest)."""
    state, values = states()[0], {}
    saver = checkpoints.Checkpoints(
        str(folder), keep, model=state.network, optimizer=state.optimizer
    )
    for step in steps:
        state.update()
        values[step] = state.values()
        saver.save(step, best_top1=step / 100)
    return values, checkpoints.complete(str(folder))[-1][1]


def _heard(call):
    """(what a call returns, what it logs as errors or warnings)."""
    lines, old = [], (logging.error, logging.warning)
    logging.error = logging.warning = lambda text, *args: lines.append(text % args)
    try:
        return call(), " ".join(lines)
    finally:
        logging.error, logging.warning = old


def _rolling(damage, file, folder, rng):
    values, facts = _save(folder, 3, (10, 20, 30))
    damage(folder / "step-00000030" / FILES[file], rng)
    state = states()[1]
    fresh = checkpoints.Checkpoints(str(folder), 3, model=state.network, optimizer=state.optimizer)
    got, said = _heard(fresh.restore_newest)
    if got == facts and state.is_at(values[30]):
        return HARMLESS, ""
    if got["step"] != 20 or not state.is_at(values[20]):
        return FAILURE, f"restored {got}"
    if "step-00000030" not in said:
        return FAILURE, f"fell back in silence: {said!r}"
    return FELL_BACK, said


def _all_rolling(folder, rng):
    _save(folder, 3, (10, 20, 30))
    for number, file in zip((10, 20, 30), FILES.values(), strict=True):
        empty(folder / f"step-{number:08d}" / file, rng)
    state = states()[1]
    fresh = checkpoints.Checkpoints(str(folder), 3, model=state.network, optimizer=state.optimizer)
    try:
        _heard(fresh.restore_newest)
    except ValueError as error:
        return NAMED if str(folder) in str(error) else FAILURE, str(error)
    return FAILURE, "nothing is said"


def _best(damage, file, folder, rng):
    values, facts = _save(folder, 1, (30,))
    damage(folder / "step-00000030" / FILES[file], rng)
    network = states()[1].network
    try:
        got, _ = _heard(lambda: checkpoints.read_weights(network, str(folder)))
    except ValueError as error:
        return NAMED if str(folder) in str(error) else FAILURE, str(error)
    pairs = zip(network.variables, values[30], strict=False)
    same = all(np.array_equal(a.numpy(), b) for a, b in pairs)
    return (HARMLESS, "") if same and got == facts else (FAILURE, f"other weights: {got}")


FAULTS = {
    f"{where}: {file} {name}": Kind(functools.partial(make, damage, file), allowed, seeds)
    for where, make, allowed in (
        ("newest checkpoint", _rolling, (FELL_BACK, HARMLESS)),
        ("best/", _best, (NAMED, HARMLESS)),
    )
    for file in FILES
    for name, (damage, seeds) in DAMAGES.items()
} | {"all checkpoints: each another file empty": Kind(_all_rolling, (NAMED,))}
