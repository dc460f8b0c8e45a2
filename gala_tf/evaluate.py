"""Evaluates a network on a split: errors, and how well its maps agree with people's.

    python -m gala_tf.evaluate --model_dir=RUN --split=test
    python -m gala_tf.evaluate --model=NETWORK.keras --maps=gradient --data_dir=DATA --split=test

Of a run: its own flags hold, so that only what differs need be given; any flag of training may be.
Writes `RUN/results-<split>.json`, a row an image to `RUN/per_image-<split>.csv`, figures, and
prints a table. The map score is the paper's: the rank correlation of a layer's reduced attention
map (column-wise L2 norm) with the human map, as a fraction of the human ceiling; beside two
baselines, the centre prior and the network's maps against other images' human maps.

Of any saved Keras classifier: by two conventions, the paper's and Harmonization's, with maps of
gradients or of a layer. Writes results and rows beside the model, or to --output_dir.
"""

import dataclasses

from absl import flags

from gala_tf import command, config
from gala_tf.evaluation.request import Request

OF_RUNS = ("split", "checkpoint", *config.names())
OF_FILES = tuple(field.name for field in dataclasses.fields(Request))
# Flags of training that evaluation has, too.
SHARED = ("model_dir", "eval_batch_size", *(name for name in OF_FILES if name in config.names()))


def define_flags(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Declares what is asked of a run or of a classifier, and all flags of training."""
    given = {"flag_values": flag_values}
    flags.DEFINE_enum("checkpoint", "best", ["best", "newest"], "Which weights of a run.", **given)
    command.define_flags(Request, flag_values, but=SHARED)
    config.define_flags(flag_values, shown=SHARED)
    for name in SHARED:
        flag_values.set_default(name, None)  # the run's own, or `Request`'s


def main():
    """Evaluates what the flags name: a run, or a Keras file."""
    values = flags.FLAGS
    if bool(values.model_dir) == bool(values.model):
        raise ValueError(
            "Give either --model_dir (a run of gala_tf.train) or --model (a file, NAME.keras)."
        )
    if values.model:
        evaluate_keras_file(values)
    else:
        evaluate_run_directory(values)


def evaluate_keras_file(values: flags.FlagValues) -> None:
    """Evaluates a saved classifier."""
    from gala_tf.evaluation import classifiers

    refuse(values, OF_RUNS, OF_FILES, "the evaluation of a run (--model_dir)")
    if not values.data_dir:
        raise ValueError("--model needs --data_dir: a data set of the model's classes.")
    asked = {name: values[name].value for name in OF_FILES if values[name].present}
    if "conventions" in asked:
        asked["conventions"] = tuple(asked["conventions"])
    classifiers.evaluate_classifier(Request(**asked))


def evaluate_run_directory(values: flags.FlagValues) -> None:
    """Evaluates a run; training flags that are given override its own."""
    from gala_tf.evaluation import evaluate_run

    refuse(values, OF_FILES, OF_RUNS, "the evaluation of a Keras file (--model)")
    given = [name for name in config.names() if values[name].present and name != "model_dir"]
    overrides = tuple(values[name].serialize() for name in given)
    evaluate_run.evaluate_run(values.model_dir, values.split, values.checkpoint, overrides)


def refuse(values: flags.FlagValues, others, own, where: str) -> None:
    """ValueError for flags that are given and would not be read."""
    wrong = [f"--{name}" for name in others if values[name].present and name not in own]
    if wrong:
        raise ValueError(f"{', '.join(wrong)}: only {where} reads that.")


if __name__ == "__main__":
    define_flags()
    command.run(main, kept="Earlier results are as they were; start it again.")
