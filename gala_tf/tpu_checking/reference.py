"""TensorFlow's own steps on a CPU, for an executed program to be compared with: its own process.

    python -m gala_tf.tpu_checking.reference REQUEST.json

What it runs is what `train --cpu_devices=N` and `evaluate` run: the same strategy, the same steps.

    start.npz           variables where the comparison begins: trained a little, so that momenta
                        and moving statistics are none that a network begins with
    batch<i>.npz        the batches; `evaluate.npz`: the one that is evaluated
    train<i>.npz        variables after so many steps
    vector<i>.npz       what the step reported
    evaluate-start.npz  variables that the evaluation was done with
    evaluated.npz       what it gave
"""

import json
import os
import sys
import tempfile

import numpy as np
import tensorflow as tf

from gala_tf import config
from gala_tf.data import input_pipeline
from gala_tf.distribution.strategy import make_strategy
from gala_tf.evaluation.evaluate_run import RunEvaluator
from gala_tf.tpu_checking import cases, replica_values, steps
from gala_tf.training import session as sessions

SETTLING = 2  # steps before the comparison begins


def main(request: dict) -> None:
    """Runs the steps and writes what they did.

    `request` is {"flags": of training, "num_classes", "steps": how many, "directory": where to
    write, "start": "" or a directory in which another reference wrote, whose beginnings count,
    "order": "forward", or "reverse": what is kept of a batch is forward in either case}.
    """
    run_config = config.from_arguments(request["flags"], "the request")
    strategy = make_strategy(cpu_devices=run_config.cpu_devices)
    with tempfile.TemporaryDirectory() as directory:
        run_config, info = steps.data_set(run_config, request["num_classes"], directory)
        session = sessions.build_session(run_config, info, strategy)
        evaluator = RunEvaluator(
            strategy, session.network, run_config, info, steps.evaluated_split(run_config)
        )
        batch_size = run_config.global_batch_size // strategy.num_replicas_in_sync
        batches = sessions.host_batches(
            run_config, info, session.sizes, session.map_resize, input_pipeline.Order(), batch_size
        )  # fmt: skip
        _Reference(strategy, session, request["directory"], request["order"]).run(
            (batches.element_spec, evaluator.protocol.batches(batch_size).element_spec),
            evaluator.replica_step, request["steps"], info.num_classes, request["start"],
        )  # fmt: skip


class _Reference:
    """A session whose variables are set, stepped and written."""

    def __init__(self, strategy, session, directory, order):
        self.step_of_images = 1 if order == "forward" else -1
        self.strategy, self.directory = strategy, directory
        self.variables = steps.named_variables(session)
        self.train = tf.function(
            lambda batch: strategy.run(session.replica_step, args=(batch,)), autograph=False
        )

    def run(self, specs, evaluate_step, count, classes, start):
        """`specs` are of a batch to train on and one to evaluate."""
        if start:
            self._load(os.path.join(start, "start.npz"))
        else:
            for i in range(SETTLING):
                self.train(self._batch(specs[0], classes, (i, 0), ""))
        self._write("start")
        for i in range(1, count + 1):
            vector = self.train(self._batch(specs[0], classes, (i, 1), f"batch{i}"))
            self._write(f"train{i}")
            self._save(f"vector{i}", {"vector": self._local(vector)})
        if start:
            self._load(os.path.join(start, "evaluate-start.npz"))
        self._write("evaluate-start")
        evaluate = tf.function(lambda batch: self.strategy.run(evaluate_step, args=(batch,)))
        self.step_of_images = 1  # its outputs are in the order of the images
        found = evaluate(self._batch(specs[1], classes, (0, 2), "evaluate"))
        names = steps.names_of(found)
        self._save(
            "evaluated",
            {n: self._local(x) for n, x in zip(names, tf.nest.flatten(found), strict=True)},
        )

    def _batch(self, specs, classes, seed, name):
        """A batch for each replica, kept by `name` if there is one."""
        replicas = range(self.strategy.num_replicas_in_sync)
        made = [cases.made_up_batch(specs, classes, (*seed, i)) for i in replicas]
        if name:
            self._save(name, {column: [batch[column] for batch in made] for column in specs})
        return self.strategy.experimental_distribute_values_from_function(
            lambda context: {
                column: tf.constant(values[:: self.step_of_images])
                for column, values in made[context.replica_id_in_sync_group].items()
            }
        )

    def _local(self, value):
        return [np.asarray(x) for x in self.strategy.experimental_local_results(value)]

    def _load(self, path):
        with replica_values.Saved(path) as saved:
            for name, variable in self.variables.items():
                parts = self.strategy.experimental_local_results(variable)
                for part, value in zip(parts, saved[name], strict=True):
                    part.assign(value)

    def _write(self, name):
        self._save(name, {n: self._local(v) for n, v in self.variables.items()})

    def _save(self, name, values):
        replica_values.save(os.path.join(self.directory, f"{name}.npz"), values)


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        main(json.load(file))
