"""A batch that is unsound, or weights that blow up: the two must be told apart."""

import functools
import shutil
import tempfile
import types
from pathlib import Path

import numpy as np
import small_data
import tensorflow as tf
from faults.failing import FAILURE, NAMED, Kind

from gala_tf.data import input_pipeline
from gala_tf.distribution import strategy as strategies
from gala_tf.training import non_finite
from gala_tf.training import session as sessions

STEP = 3  # counted from 1, of the bad batch


@functools.cache
def session():
    """(run, its distribution strategy, initial values): a network, compiled once."""
    folder = Path(tempfile.mkdtemp(prefix="batches-"))
    info = small_data.build(folder)
    cfg = small_data.small_config(folder, folder / "run")
    strategy = strategies.make_strategy()
    built = sessions.build_session(cfg, info, strategy)
    run = types.SimpleNamespace(config=cfg, info=info, strategy=strategy, session=built)
    values = [v.numpy() for v in (*built.network.variables, *built.optimizer.variables)]
    return run, values


def forget():
    """Removes the data set."""
    if session.cache_info().currsize:
        shutil.rmtree(session()[0].config.data_dir, ignore_errors=True)


def _fail(poison_batch, poison_network):
    """The message of four steps, the third on a poisoned batch, with a poisoned network."""
    run, values = session()
    built, cfg = run.session, run.config
    variables = (*built.network.variables, *built.optimizer.variables)
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    poison_network(built.network)

    def batches(context):
        return (
            sessions.host_batches(
                cfg,
                run.info,
                built.sizes,
                built.map_resize,
                input_pipeline.Order(shuffle_buffer=4),
                cfg.global_batch_size,
            )
            .enumerate()
            .map(poison)
        )

    def poison(number, batch):
        bad = poison_batch(dict(batch))
        return {k: tf.where(tf.equal(number, STEP - 1), bad[k], batch[k]) for k in batch}

    iterator = iter(run.strategy.distribute_datasets_from_function(batches))
    steps = built.train_steps(iterator, tf.constant(4))
    try:
        non_finite.check_steps(cfg, built.layout, steps, 0, 0)
    except non_finite.NonFiniteLossError as error:
        return str(error)


def _first(key, value):
    """The first image of the batch has another value."""

    def poison(batch):
        first = tf.reshape(tf.range(tf.shape(batch[key])[0]), [-1, *[1] * (batch[key].ndim - 1)])
        batch[key] = tf.where(first == 0, tf.cast(value, batch[key].dtype), batch[key])
        return batch

    return poison


def _of_data(poison, words, folder, rng):
    text = _fail(poison, lambda network: None)
    told = text and f"The data are at fault at step {STEP}, not the optimisation" in text
    return (NAMED if told and words in text else FAILURE), str(text)


def _of_optimisation(layer, factor, words, folder, rng):
    def poison(network):
        weight = network.get_layer(layer).trainable_variables[0]
        weight.assign(weight * factor)

    text = _fail(lambda batch: batch, poison)
    told = text and "the optimisation is at fault, not the data" in text
    return (NAMED if told and words in text else FAILURE), str(text)


FAULTS = {
    f"batch: {name}": Kind(functools.partial(_of_data, poison, words), (NAMED,))
    for name, poison, words in (
        ("label -1", _first("label", -1), "1 x label outside 0...3"),
        ("label beyond the classes", _first("label", 4), "1 x label outside 0...3"),
        ("map of NaN", _first("clickmap", np.nan), "1 x click map that is negative or not finite"),
        ("map of infinity", _first("clickmap", np.inf), "1 x click map"),
        ("negative map", _first("clickmap", -1.0), "1 x click map"),
    )
} | {
    f"weights: {name}": Kind(functools.partial(_of_optimisation, layer, factor, words), (NAMED,))
    for name, layer, factor, words in (
        ("NaN in a convolution", "stage2_block1_conv2", np.nan, "'stage2_block1_conv2_bn'"),
        ("infinity in a convolution", "stage2_block1_conv2", np.inf, "'stage2_block1_conv2_bn'"),
        ("NaN in the first layer", "stem_conv", np.nan, "at the first layer"),
        ("an overflow in the classifier", "logits", 1e38, "all activity is finite"),
    )
}
