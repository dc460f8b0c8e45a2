"""What computes: a network in a strategy, the steps that train it, and the batches that feed it."""

import dataclasses
from collections.abc import Callable
from typing import Any

from gala_tf import config
from gala_tf.data import dataset_info
from gala_tf.training import plan


@dataclasses.dataclass(frozen=True)
class Session:
    """A network in a strategy, and the compiled functions that train it (`train_step`)."""

    length: plan.Plan
    network: Any
    schedule: Any
    optimizer: Any
    sizes: dict[str, int]  # {layer: map side in pixels} that maps supervise
    map_resize: str  # bilinear or bicubic
    columns: Any  # names of what train_steps returns
    replica_step: Callable  # one step of one replica, which `tpu_check` compiles
    train_steps: Callable
    average_statistics: Callable


def build_session(run_config: config.Config, info: dataset_info.DatasetInfo, strategy) -> Session:
    """Builds network, optimizer and steps, every variable in the strategy's scope.

    From here on the process keeps the memory that it frees (`memory`).

    Raises:
        ValueError: the batch does not divide by the replicas, the flags describe no network, or
            maps have nothing to supervise.
    """
    from gala_tf.distribution import memory
    from gala_tf.distribution import strategy as strategies
    from gala_tf.runs import directory
    from gala_tf.training import optimizers
    from gala_tf.training import step as train_step

    memory.keep_freed_memory()
    replicas = strategy.num_replicas_in_sync
    loss_scaling = run_config.precision == "mixed_float16"
    plan.check_jit_compile(run_config, replicas)
    length = plan.make_plan(run_config, info, replicas, strategies.hosts(strategy))
    schedule = plan.make_schedule(run_config, length)
    with strategy.scope():
        network = directory.build_network(run_config, info.num_classes)
        sizes = plan.supervised_sizes(network, run_config)
        # XLA fuses the update anyhow.
        one_kernel = not (run_config.tpu or run_config.jit_compile)
        optimizer = optimizers.make_optimizer(
            schedule, run_config.momentum, loss_scaling, one_kernel
        )
        optimizer.build(network.trainable_variables)  # lazily it would fail inside strategy.run
    map_resize = run_config.map_resize
    if map_resize == "auto":  # the paper: bicubic, and bilinear on TPUs
        map_resize = "bilinear" if run_config.tpu else "bicubic"
    replica_step, columns = train_step.make_replica_step(
        network,
        optimizer,
        sizes,
        global_batch_size=run_config.global_batch_size,
        replicas=replicas,
        map_loss_weight=run_config.map_loss_weight,
        map_target=run_config.map_target,
        map_resize=map_resize,
        weight_decay=run_config.weight_decay,
        label_smoothing=run_config.label_smoothing,
    )
    if run_config.jit_compile:
        replica_step = train_step.compile_step(replica_step)
    return Session(
        length,
        network,
        schedule,
        optimizer,
        sizes,
        map_resize,
        columns,
        replica_step,
        train_step.make_train_steps(strategy, replica_step, columns, loss_scaling),
        train_step.make_average_statistics(strategy, network),
    )


# ------------------------------------------------------------------ its input


def training_batches(strategy, run_config, info, sizes, map_resize, step, left_out=()):
    """The distributed, endless data set of batches that follow `step`."""

    def for_host(context):
        batch_size = context.get_per_replica_batch_size(run_config.global_batch_size)
        return host_batches(
            run_config,
            info,
            sizes,
            map_resize,
            batch_size=batch_size,
            start_example=step * run_config.global_batch_size,
            shuffle_buffer=run_config.shuffle_buffer,
            left_out=left_out,
            input_context=context,
        )

    return strategy.distribute_datasets_from_function(for_host)


def host_batches(run_config, info, sizes, map_resize, **arguments):
    """`input_pipeline.make_train_dataset` as the flags say; `arguments` are all that remain."""
    from gala_tf.data import clickmaps, input_pipeline

    return input_pipeline.make_train_dataset(
        run_config.data_dir,
        info,
        run_config.train_split,
        image_size=run_config.image_size,
        crop=run_config.crop,
        crop_fraction=run_config.crop_fraction,
        flip=run_config.flip,
        clickmap_size=max(sizes.values(), default=1),
        clickmap_resize=map_resize,
        clickmap_blur=clickmaps.parse_blur(run_config.clickmap_blur),
        map_source=run_config.map_source,
        seed=run_config.seed,
        **arguments,
    )
