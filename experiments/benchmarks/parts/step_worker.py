"""The process behind `workers.Worker`: holds one network, and runs so many steps a line of input.

    python step_worker.py '{"kind": "ours", "batch": 8, "image_size": 224, "flags": []}'

`answering` says what it prints.
"""

import contextlib
import functools
import importlib
import importlib.metadata
import importlib.util
import json
import sys
import tempfile
import time
import types
from collections.abc import Callable
from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[1]
ROOT = BENCHMARKS.parents[1]
sys.path[:0] = [str(ROOT), str(BENCHMARKS)]  # as a process of its own it has only its folder's

from parts import answering, flops, made_up_data  # noqa: E402

from gala_tf import config  # noqa: E402
from gala_tf.distribution import strategy as strategies  # noqa: E402

LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.01, 0.9, 1e-4  # of all that are compared
SESSION = "gala_tf.training.session"
IMPORTS = {"ours": SESSION, "fit": "keras", "harmonization": SESSION}


def make_steps(kind: str, **spec) -> tuple[Callable, Callable[[], int]]:
    """(run(count) -> seconds (wall, cpu), FLOPs() of a step) of a kind of network.

    `ours` is what `gala_tf.train` runs; `fit` keras.applications' ResNet-50 in `model.fit`;
    `harmonization` our ResNet-50 with the loss of Fel et al. (2022), from their package. `spec` is
    batch, image_size; and what the kind takes. ValueError: an unknown kind, or flags that
    contradict each other.
    """
    kinds = {"ours": _ours, "fit": _fit, "harmonization": _harmonization}
    if kind not in kinds:
        raise ValueError(f"kind must be one of {', '.join(kinds)}. Received: {kind!r}.")
    return kinds[kind](**spec)


def _session(batch, image_size, flags):
    """(strategy, what `gala_tf.train` computes with, a data set of two of its batches)."""
    from gala_tf.training import session as sessions

    directory = tempfile.mkdtemp()
    # 2 batches fill the data set; crops as the paper's, 7 / 8 of the side.
    info = made_up_data.build(Path(directory), 2 * batch, round(image_size / 0.875))
    run_config = config.from_arguments(
        [
            f"--data_dir={directory}",
            f"--image_size={image_size}",
            f"--global_batch_size={batch}",
            f"--learning_rate_per_256={LEARNING_RATE * 256 / batch}",
            "--warmup_epochs=0",
            f"--momentum={MOMENTUM}",
            f"--weight_decay={WEIGHT_DECAY}",
            *flags,
        ],
        "the benchmark",
    )
    strategy = strategies.make_strategy()
    session = sessions.build_session(run_config, info, strategy)
    batches = sessions.training_batches(
        strategy, run_config, info, session.sizes, session.map_resize, step=0
    )
    return strategy, session, made_up_data.repeated(strategy, batches)


def _ours(batch, image_size, flags, stride_in_1x1=False):
    import tensorflow as tf

    from gala_tf import models

    if stride_in_1x1:  # no flag of training: He et al.'s first version, here only to compare
        models.build_model = functools.partial(models.build_model, stride_in_1x1=True)
    strategy, session, dataset = _session(batch, image_size, flags)
    iterator = iter(dataset)

    def run(count):
        return answering.timed(lambda: session.train_steps(iterator, tf.constant(count))[0].numpy())

    step = session.replica_step
    step = getattr(step, "python_function", step)  # of a step for XLA
    return run, lambda: _flops(step, dataset.element_spec)


def _fit(batch, image_size, jit_compile, keep_memory=False):
    """As a user of Keras would write it, and with the regularisation and optimizer of ours."""
    if keep_memory:  # as ours do
        strategies.keep_freed_memory()
    import keras
    import tensorflow as tf
    from parts import keras_resnet50

    network = keras_resnet50.compiled(
        image_size,
        made_up_data.CLASSES,
        LEARNING_RATE,
        MOMENTUM,
        WEIGHT_DECAY,
        jit_compile=jit_compile,
    )
    images, labels = keras_resnet50.pictures(2 * batch, image_size, made_up_data.CLASSES)
    dataset = tf.data.Dataset.from_tensor_slices((images, labels))
    dataset = dataset.batch(batch, drop_remainder=True).cache().repeat().prefetch(2)

    class Clock(keras.callbacks.Callback):
        """From the beginning of the first batch to the end of the last."""

        def on_train_batch_begin(self, batch, logs=None):
            if batch == 0:
                self.start = _now()

        def on_train_batch_end(self, batch, logs=None):
            self.end = _now()

    def run(count):
        clock = Clock()
        network.fit(dataset, steps_per_epoch=count, verbose=0, shuffle=False, callbacks=[clock])
        return clock.end[0] - clock.start[0], clock.end[1] - clock.start[1]

    network.optimizer.build(network.trainable_variables)
    return run, lambda: _flops(lambda x, y: network.train_step((x, y)), *dataset.element_spec)


def harmonization_loss():
    """`harmonizer_loss` of the package of Fel et al.; ValueError: it is not installed."""
    spec = importlib.util.find_spec("harmonization")
    if spec is None:
        raise ValueError("The package `harmonization` is not installed: see supervision.py.")
    # Of its `training` alone: the models beside it need packages of Keras 2.
    package = types.ModuleType("harmonization")
    package.__path__, package.__spec__ = list(spec.submodule_search_locations), spec
    sys.modules["harmonization"] = package
    from harmonization.training.loss import harmonizer_loss

    return harmonizer_loss


def _harmonization(batch, image_size, flags):
    import keras
    import tensorflow as tf

    harmonizer_loss = harmonization_loss()
    strategy, session, dataset = _session(
        batch, image_size, [*flags, "--attention=none", "--map_loss_weight=0"]
    )
    logits = keras.Model(session.network.input, session.network.output["logits"])
    variables = [v.value for v in logits.trainable_variables]

    class AsInKeras2:
        """What the function knows as a model: its variables are TensorFlow's."""

        trainable_variables = variables

        def __call__(self, images, training):
            return logits(images, training=training)

    rows = columns = tf.linspace(0.0, 1.0, image_size)
    heatmaps = tf.tile((rows[:, None] * columns)[None], [batch, 1, 1])  # at the image's size

    def step(batch):
        images, labels = batch["image"], batch["label"]
        gradients = harmonizer_loss(
            AsInKeras2(),
            tf.cast(images, tf.float32),
            tf.ones_like(labels, tf.float32),  # all have maps
            tf.one_hot(labels, made_up_data.CLASSES),
            heatmaps,
            lambda_weights=WEIGHT_DECAY,
        )
        session.optimizer.apply(gradients, logits.trainable_variables)

    @tf.function
    def steps(iterator, count):
        for _ in tf.range(count):
            strategy.run(step, args=(next(iterator),))

    iterator = iter(dataset)

    def run(count):
        return answering.timed(lambda: steps(iterator, tf.constant(count)))

    return run, lambda: _flops(step, dataset.element_spec)


def _now():
    """(wall, CPU time of all threads) in seconds."""
    return time.perf_counter(), time.process_time()


def _flops(step, *specs):
    """FLOPs of a step, traced but never run."""
    import tensorflow as tf

    return flops.count_flops(tf.function(step).get_concrete_function(*specs).graph)


def peak_mib() -> float:
    """The most memory this process had until now: of the GPU where there is one, else of RAM."""
    import tensorflow as tf

    if tf.config.list_physical_devices("GPU"):
        return tf.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20
    return answering.peak_of_process()


def main(spec: dict) -> None:
    """Runs steps until the input ends."""
    importlib.import_module(IMPORTS.get(spec["kind"], "keras"))
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)  # leaves some to the other networks
    answering.answer(
        lambda: make_steps(**spec),
        lambda: {"device": _device(), "versions": _versions()},
        peak_mib,
    )


def _versions():
    """{package: version} of what computes; TensorFlow's, by whichever build is installed."""
    import tensorflow as tf

    found = {"tensorflow": tf.__version__}
    for name in ("keras", "numpy", "harmonization"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _device():
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
    return answering.cores()


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
