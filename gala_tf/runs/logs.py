"""What a run measures: `metrics.jsonl`, TensorBoard, and one line of progress."""

import json
import math
import os

import tensorflow as tf
import tqdm
from absl import logging

from gala_tf.data import files
from gala_tf.runs import events

FILE = "metrics.jsonl"
# Numbers on the progress line, and what they are called there.
SHOWN = {"loss": "loss", "map_loss": "maps", "top1": "top-1", "validation_top1": "val. top-1"}


class MetricLog:
    """Appends to `metrics.jsonl` and to TensorBoard events.

    Each line of `metrics.jsonl` is one JSON object: `step`, `kind` (`train` or the split's name)
    and the numbers.

    Lines of steps after `start_step`, left by a process that was killed after its last checkpoint,
    are removed, since they will be written again; so is the line of `start_step` itself of the kind
    `again`. TensorBoard's files are cut back likewise (`events`).
    """

    def __init__(self, model_dir: str, start_step: int, again: str = ""):
        self.directory, self.path = model_dir, os.path.join(model_dir, FILE)
        kept = [
            line
            for line in read_metrics(model_dir)
            if line["step"] <= start_step and (line["step"], line["kind"]) != (start_step, again)
        ]
        files.write(self.path, "".join(json.dumps(line) + "\n" for line in kept))
        self._summaries = None  # made by the first that writes
        self._forget_from = start_step + 1
        try:
            events.cut(model_dir, start_step, again)
        except tf.errors.OpError as error:
            what = f"keeps steps after {start_step}"
            logging.error("TensorBoard %s of %s: %s", what, model_dir, _first_line(error))

    def write(self, step: int, kind: str, numbers: dict[str, float]) -> None:
        """Records `numbers` (name -> value) of `step`; what is not finite is left out.

        OSError, tf.errors.OpError: `metrics.jsonl` cannot be written, and is as it was.
        """
        numbers = {name: value for name, value in numbers.items() if math.isfinite(value)}
        files.append(self.path, json.dumps({"step": step, "kind": kind, **numbers}) + "\n")

        def show():
            for name, value in numbers.items():
                tf.summary.scalar(f"{kind}/{name}", value)

        self._summarise(step, show)

    def write_image(self, step: int, name: str, image) -> None:
        """Shows `image`, uint8 [H, W, 3], in TensorBoard."""
        self._summarise(step, lambda: tf.summary.image(name, image[None]))

    def _summarise(self, step, show):
        """Calls `show` for TensorBoard, which may fail: `metrics.jsonl` is the record."""
        try:
            if self._summaries is None:
                self._summaries = tf.summary.create_file_writer(self.directory)
                if self._forget_from is not None:  # a file begun anew only goes on
                    events.begin_session(self._summaries, self._forget_from)
                    self._forget_from = None
            with self._summaries.as_default(step=step):
                show()
            self._summaries.flush()
        except tf.errors.OpError as error:
            self._summaries = None  # the next begins a new file: this one's end may be half a line
            what = f"misses step {step}"
            logging.error("TensorBoard %s of %s: %s", what, self.directory, _first_line(error))


def _first_line(error):
    return error.message.splitlines()[0]


def read_metrics(model_dir: str) -> list[dict]:
    """The lines of a run's `metrics.jsonl`; a last line that a kill cut short is left out.

    ValueError: another line is damaged.
    """
    path = os.path.join(model_dir, FILE)
    if not tf.io.gfile.exists(path):
        return []
    found = []
    with tf.io.gfile.GFile(path, "rb") as file:
        lines = file.read().splitlines()
    for number, line in enumerate(lines, 1):
        try:
            found.append({**json.loads(line)})
        except (ValueError, TypeError) as error:  # not JSON, or no object
            if number < len(lines):
                raise ValueError(
                    f"{path}, line {number}, is damaged ({error}). Restore the file, or remove "
                    "that line."
                ) from error
    return found


def say(text: str) -> None:
    """Prints a line above the progress line, if there is one; from any thread."""
    tqdm.tqdm.write(text)


class Progress:
    """One line on stderr: steps done, time left, images per second, and the newest numbers."""

    def __init__(self, start_step: int, total_steps: int):
        shown = dict(unit="step", dynamic_ncols=True, smoothing=0.1, mininterval=1.0)
        self._bar = tqdm.tqdm(total=total_steps, initial=start_step, **shown)

    def advance(self, steps: int, numbers: dict[str, float | None]) -> None:
        """Moves on by `steps` and shows those numbers that SHOWN names."""
        words = [f"{numbers['images_per_second']:.0f} images/s"]
        words += [
            f"{short} {numbers[name]:.3f}"
            for name, short in SHOWN.items()
            if numbers.get(name) is not None
        ]
        self._bar.set_postfix_str(", ".join(words), refresh=False)
        self._bar.update(steps)

    def say(self, text: str) -> None:
        """Prints a line above the bar."""
        self._bar.write(text)

    def close(self) -> None:
        """Ends the bar's line."""
        self._bar.close()
