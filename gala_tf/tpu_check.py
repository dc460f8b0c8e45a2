"""Compiles a run's steps for a TPU on a machine that has none, or executes them on its CPU.

    python -m gala_tf.tpu_check --flagfile=experiments/full_ilsvrc.flags --topology=v3:2x2x1
    python -m gala_tf.tpu_check --flagfile=experiments/full_ilsvrc.flags --find_batch
    python -m gala_tf.tpu_check --flagfile=experiments/full_ilsvrc.flags --execute

The steps are those of `train` and `evaluate`, with the flags of training; no data set is needed.
TensorFlow's TPU kernels lower them to HLO, libtpu compiles that for the topology named, and the
report says: whether they compile or what stops them; the memory a core needs of what it has; FLOPs
and bytes of a step and the least time they imply; what the lint found (`tpu_checking.lint`); the
largest batch that fits. Exit status 1 if anything is at fault.

With --execute the same HLO runs on the CPU, step after step, beside TensorFlow's own step, and what
each does to every variable is compared (`tpu_checking.execution`).

All of it runs in a virtual environment of its own (`tpu_checking.environment`), made on first use.
What this cannot show: the input pipeline, TPUStrategy's runtime, libtpu's kernels, speed,
convergence.
"""

import json
import sys

from absl import flags

from gala_tf import command, config
from gala_tf.data import files, places
from gala_tf.tpu_checking import cases, check, environment, execution, summary
from gala_tf.tpu_checking.check import TRIES
from gala_tf.tpu_checking.verdicts import STEPS


def define_flags() -> None:
    """Flags beside those of training."""
    flags.DEFINE_list(
        "topology", ["v3:2x2x1"], "Generation and chips in each direction; several by commas."
    )
    flags.DEFINE_integer("replicas", 0, "Cores that share a batch; 0 = all of the topology.")
    flags.DEFINE_integer(
        "batch_per_core", 0, "Images a core; 0 = global_batch_size / cores.", lower_bound=0
    )
    flags.DEFINE_list("steps", list(STEPS), "Which steps.")
    flags.DEFINE_integer("num_classes", 1000, "Where --data_dir holds no data set.", lower_bound=2)
    flags.DEFINE_bool("find_batch", False, f"Compile up to {TRIES} times to find what fits.")
    flags.DEFINE_bool("execute", False, "Run the program on a CPU instead of compiling it.")
    flags.DEFINE_list(
        "cases",
        [],
        f"What is executed, PRECISION/REPLICAS/MAPS; default all: {', '.join(cases.NAMES)}. "
        f"--batch_per_core, by default {cases.BATCH}, is the batch of a replica.",
    )
    flags.DEFINE_string(
        "environment", "", f"Virtual environment; default ${environment.VARIABLE} or a cache."
    )
    flags.DEFINE_string("cache_dir", "", "Verdicts, by the hash of the module; default a cache.")
    flags.DEFINE_string("output", "", "JSON to write.")
    command.are_paths("environment", "cache_dir", "output")


def main():
    """Checks as the flags say; prints the table, writes the JSON."""
    from gala_tf.evaluation import naming

    values = flags.FLAGS
    places.check_file(values.output, "output", ('"passes"', '"topolog'))
    for topology in values.topology:
        summary.chip_of(topology)
    if not set(values.steps) <= set(STEPS):
        raise ValueError(f"--steps={','.join(values.steps)}: there are {', '.join(STEPS)}.")
    run_config = config.from_flags()
    asked = check.Request(
        values.topology,
        values.steps,
        values.replicas,
        values.batch_per_core,
        values.num_classes,
        values.find_batch,
        values.environment,
        values.cache_dir,
    )
    network = naming.network_name(run_config)
    if values.execute:
        chosen = cases.chosen(values.cases, run_config)
        report = execution.check(run_config, network, asked, chosen)
    else:
        report = check.check(run_config, network, asked)
    if values.output:
        files.write(values.output, json.dumps(report, indent=1))
    print((execution if values.execute else summary).table(report))
    if not report["passes"]:
        sys.exit(1)


if __name__ == "__main__":
    define_flags()
    config.define_flags(shown=("global_batch_size", "precision", "attention", "image_size"))
    command.run(main, kept="Verdicts that were reached stay in the cache: start it again.")
