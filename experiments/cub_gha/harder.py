"""Tests a finished run on harder pictures of its test images, and looks at its attention.

    python experiments/cub_gha/harder.py --model_dir=RUN

Writes RUN/harder-test.json. Each test image is shown four times more, spoilt where, by its own
gaze, people looked, or where they did not, or all over:

    gazed_blurred   the quarter of the pixels that was looked at most is blurred
    rest_blurred    the other three quarters are
    contrast        half of the contrast, about the image's own mean
    noise           Gaussian noise of 20 grey levels, the same for all networks

Beside them: the map scores against human maps that lie cell on cell, and against those that lie
where the layer looks; and the mean of |A| of each layer, of networks with attention.
"""

import dataclasses
import json
import os

import numpy as np
from absl import app, flags
from scipy import ndimage

from gala_tf.data import eval_pipeline
from gala_tf.distribution.strategy import make_strategy
from gala_tf.evaluation import evaluate_run, protocols, readers, scores
from gala_tf.evaluation.evaluator import Evaluator

GAZED = 0.25  # of the pixels
BLUR = 3.0  # sigma, pixels of the network's input
CONTRAST = 0.5
NOISE = 20.0
BATCH = 32


def spoil(images: np.ndarray, gaze: np.ndarray) -> dict[str, np.ndarray]:
    """{condition: uint8 [N, S, S, 3]} of images uint8 [N, S, S, 3] and gaze [N, S, S] >= 0."""
    pixels = images.astype(np.float32)
    blurred = ndimage.gaussian_filter(pixels, (0, BLUR, BLUR, 0), mode="nearest")
    limit = np.quantile(gaze, 1 - GAZED, axis=(1, 2), keepdims=True)
    # An edge of its own would be something to see.
    gazed = ndimage.gaussian_filter((gaze > limit).astype(np.float32), (0, 1, 1))[..., None]
    mean = pixels.mean((1, 2, 3), keepdims=True)
    noise = np.random.default_rng(0).normal(0, NOISE, pixels.shape)
    found = {
        "gazed_blurred": gazed * blurred + (1 - gazed) * pixels,
        "rest_blurred": gazed * pixels + (1 - gazed) * blurred,
        "contrast": mean + CONTRAST * (pixels - mean),
        "noise": pixels + noise,
    }
    return {name: np.clip(np.round(p), 0, 255).astype(np.uint8) for name, p in found.items()}


def examine(model_dir: str) -> dict:
    """What is written; bits of hits are hexadecimal, of the test images sorted by name."""
    run, info = evaluate_run.open_with_data(model_dir, "test")
    strategy = make_strategy()
    with strategy.scope():
        run = run.with_weights("best")
    size, data_dir = run.config.image_size, run.config.data_dir
    ids = eval_pipeline.image_ids(data_dir, info, "test")
    by_name = np.argsort([os.path.basename(name) for name in ids])
    protocol = evaluate_run.paper_protocol(run.config, info, "test", {"": size})
    examples = protocol.read(range(len(ids)))
    images, labels = examples["image"], examples["label"]
    correct, reader = {}, readers.our_network(run.network)
    for name, spoilt in spoil(images, examples["clickmap"][..., 0]).items():
        shown = protocols.Given(spoilt, labels, batch_size=BATCH)
        hits = Evaluator(strategy, reader, shown).run().rank == 0
        correct[name] = np.packbits(hits[by_name]).tobytes().hex()
    return {
        "correct": correct,
        "map_scores": {
            alignment: map_score(run, info, strategy, alignment)
            for alignment in ("grid", "receptive_field")
        },
        "attention_size": attention_size(run.network, images),
    }


def map_score(run, info, strategy, alignment: str) -> float:
    """The map score of the final layer, human maps cut as `--map_alignment` says."""
    cut_so = dataclasses.replace(run.config, map_alignment=alignment)
    evaluator = evaluate_run.RunEvaluator(strategy, run.network, cut_so, info, "test")
    layers = scores.map_numbers(evaluator.run())
    return round(list(layers.values())[-1].spearman, 5)


def attention_size(network, images) -> list[float]:
    """The mean of |A| over images, places and channels, layer by layer; [] without attention."""
    sums = None
    for start in range(0, len(images), BATCH):
        volumes = network(images[start : start + BATCH], training=False)["attention"].values()
        batch = np.array([np.abs(volume).mean((1, 2, 3)).sum() for volume in volumes])
        sums = batch if sums is None else sums + batch
    return [round(float(value), 4) for value in sums / len(images)]


def main(_):
    model_dir = flags.FLAGS.model_dir
    with open(os.path.join(model_dir, "harder-test.json"), "w", encoding="utf-8") as file:
        json.dump(examine(model_dir), file)


if __name__ == "__main__":
    flags.DEFINE_string("model_dir", None, "A finished run.", required=True)
    app.run(main)
