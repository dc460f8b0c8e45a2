"""The one evaluator: shows a network every image of a split, once, and collects what it says.

It takes three things: a strategy to compute in, a reader (`readers`: what a network answers and
where it looks) and a protocol (`protocols`: what it is shown, and on which grid its maps meet
people's).

    N images, b of a replica's batch, h w the grid of a map
"""

import dataclasses

import numpy as np
import tensorflow as tf
from tqdm import tqdm

from gala_tf.data import dataset_info
from gala_tf.data.contracts import Batch, Strategy
from gala_tf.evaluation import answers
from gala_tf.evaluation.readers import Reader
from gala_tf.explain import endings


@dataclasses.dataclass
class Predictions:
    """What a network says of every image of a split, in the split's order; N images."""

    label: np.ndarray  # [N] true classes
    prediction: np.ndarray  # [N] classes with the largest logit
    rank: np.ndarray  # [N] how many classes are ranked at or above the true one; 0 is a hit
    cross_entropy: np.ndarray  # [N] nats
    # [N, h, w] exact blurred human maps; has_clickmap [N] bool tells which are real
    clickmap: np.ndarray
    has_clickmap: np.ndarray
    maps: dict  # {name: [N, h, w]} reduced attention (or, without, activity) maps
    # [N] largest softmax probability; NaN where a logit is NaN or infinite
    confidence: np.ndarray | None = None
    # {"SCORE/MAP": [N]} of a protocol that scores maps at once and does not keep them
    scores: dict = dataclasses.field(default_factory=dict)


class Evaluator:
    """Runs a network over what a protocol shows, each image once on any number of replicas."""

    def __init__(self, strategy: Strategy, reader: Reader, protocol):
        self.strategy, self.protocol = strategy, protocol
        self.examples = len(protocol.places)
        # No more than the split needs, a whole number a replica.
        batch = min(protocol.batch_size, self.examples)
        self.replica_batch = -(-batch // strategy.num_replicas_in_sync)
        self.reader = reader
        self.score_kind = reader.kind  # of the network; empty until the first batch tells
        self.replica_step = make_replica_step(reader)  # `tpu_check` compiles it
        self.step = self._step if reader.compiled else tf.function(self._step)
        self.dataset = strategy.distribute_datasets_from_function(
            lambda context: protocol.batches(self.replica_batch, context)
        )

    def _step(self, iterator):
        per_replica = self.strategy.run(self.replica_step, args=(next(iterator),))
        return tf.nest.map_structure(lambda x: self.strategy.gather(x, axis=0), per_replica)

    def run(self, poll=lambda: None, progress: str = "") -> Predictions:
        """Every image's predictions, in the split's order.

        `poll` is called before each batch, and may raise, to interrupt; `progress` is what a bar of
        progress is of, empty for no bar. ValueError: an image was seen not at all or twice, or a
        record cannot be read.
        """
        iterator, batches, seen = iter(self.dataset), [], 0
        with tqdm(
            total=self.examples, desc=progress, unit="image", disable=None if progress else True
        ) as bar:
            while seen < self.examples:
                poll()
                try:
                    with self.protocol.naming_records():
                        batch = tf.nest.map_structure(lambda x: x.numpy(), self.step(iterator))
                except (tf.errors.OutOfRangeError, StopIteration):  # in a graph, or outside of one
                    break
                batches.append(self._finish(batch))
                seen += len(batches[-1]["label"])
                bar.update(len(batches[-1]["label"]))
        columns = tf.nest.map_structure(lambda *parts: np.concatenate(parts), *batches)
        return Predictions(**self._in_order(columns))

    def _finish(self, batch):
        """What remains to be done of a batch, on the host."""
        real = batch["image_index"] >= 0  # -1 marks padding
        batch = tf.nest.map_structure(lambda x: x[real], batch)
        if "class_scores" in batch:
            scores = batch.pop("class_scores")
            self.score_kind = self.score_kind or endings.kind_of_numbers(scores, self.reader.dtype)
            batch |= answers.on_host(scores, batch["label"], self.score_kind, self.reader.dtype)
        batch["has_clickmap"] = batch["has_clickmap"] > 0
        return self.protocol.compare(batch)

    def _in_order(self, columns):
        index = columns.pop("image_index")
        order = np.argsort(index, kind="stable")  # several hosts yield their own shards in turn
        if not np.array_equal(index[order], self.protocol.places):
            raise ValueError(
                f"Evaluation of {self.protocol.title} must see each of {self.examples} images "
                f"once, but saw {len(order)} ({len(np.unique(index))} different). The shards do "
                f"not match {dataset_info.INFO_FILE}; build the data set again."
            )
        return tf.nest.map_structure(lambda x: x[order], columns)


def make_replica_step(reader: Reader):
    """One evaluation step of one replica: batch -> columns of `Predictions`, and `image_index`."""

    def replica_step(batch: Batch):
        label, index = batch["label"], batch["image_index"]
        class_scores, maps = reader.look(batch["image"], label, index)
        if reader.compiled:
            found = {"class_scores": class_scores}  # [b, K], for `answers.on_host`
        else:
            found = answers.on_device(class_scores, label)
        return {
            **found,
            "label": label,
            "clickmap": batch["clickmap"][..., 0],  # [b, h, w]
            "has_clickmap": batch["has_clickmap"],
            "image_index": index,
            "maps": maps,
        }

    return replica_step
