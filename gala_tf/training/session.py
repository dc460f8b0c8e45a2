"""What computes: a network in a strategy, the steps that train it, and the batches that feed it."""

import dataclasses
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from gala_tf import config
from gala_tf.data import clickmaps, dataset_info, input_pipeline, map_operators
from gala_tf.data.contracts import Strategy
from gala_tf.distribution import strategy as strategies
from gala_tf.runs import directory
from gala_tf.training import checks, fine_tuning, optimizers, plan, schedules, step
from gala_tf.training.step_vector import Layout


@dataclasses.dataclass(frozen=True)
class Session:
    """A network in a strategy, and the compiled functions that train it (`step`)."""

    length: plan.Plan
    network: Any
    schedule: Any
    optimizer: Any
    sizes: dict[str, int]  # {layer: map side in pixels} that maps supervise
    map_resize: str  # bilinear or bicubic
    layout: Layout  # of a step's vector
    replica_step: Callable  # one step of one replica, which `tpu_check` compiles
    train_steps: Callable  # many steps of all replicas in one call
    average_statistics: Callable
    initial: Any = None  # what `--init_from` gave, `pretrained.Loaded`


def build_session(
    run_config: config.Config, info: dataset_info.DatasetInfo, strategy: Strategy
) -> Session:
    """Builds network, optimizer and steps, every variable in the strategy's scope.

    From here on the process keeps the memory that it frees. ValueError: the batch does not divide
    by the replicas, the flags describe no network, or maps have nothing to supervise.
    """
    strategies.keep_freed_memory()
    replicas = strategy.num_replicas_in_sync
    checks.check_jit_compile(run_config, replicas)
    length = plan.make_plan(run_config, info, replicas, strategies.hosts(strategy))
    schedule = schedules.make_schedule(run_config, length)
    loss_scaling = run_config.precision == "mixed_float16"
    # XLA fuses the update, and decides what to keep, by itself.
    by_kernels = not (run_config.tpu or run_config.jit_compile)
    momentum = run_config.momentum
    map_resize = run_config.map_resize
    if map_resize == "auto":  # as the paper: TPUs have no bicubic kernel
        map_resize = "bilinear" if run_config.tpu else "bicubic"
    with strategy.scope():
        network = directory.build_network(run_config, info.num_classes)
        sizes = checks.supervised_sizes(network, run_config)
        initial = fine_tuning.initialise(network, run_config)
        fine_tuning.freeze(network, run_config.freeze)
        optimizer = optimizers.make_optimizer(
            schedule, momentum, loss_scaling, by_kernels, run_config.clip_gradient_norm,
            fine_tuning.rate_factors(network, initial, run_config.new_layers_rate),
        )  # fmt: skip
        optimizer.build(network.trainable_variables)  # lazily it would fail inside strategy.run
    objective = step.Objective(
        map_sizes=sizes,
        global_batch_size=run_config.global_batch_size,
        replicas=replicas,
        map_loss_weight=run_config.map_loss_weight,
        map_target=run_config.map_target,
        map_resize=map_resize,
        weight_decay=run_config.weight_decay,
        label_smoothing=run_config.label_smoothing,
        map_loss_reduction=run_config.map_loss_reduction,
    )
    replica_step, layout = step.make_replica_step(network, optimizer, objective, by_kernels)
    if run_config.jit_compile:
        replica_step = tf.function(replica_step, jit_compile=True)  # of a single replica
    return Session(
        length,
        network,
        schedule,
        optimizer,
        sizes,
        map_resize,
        layout,
        replica_step,
        step.make_train_steps(strategy, replica_step, layout, loss_scaling),
        step.make_average_statistics(strategy, network),
        initial,
    )


def training_batches(strategy, run_config, info, sizes, map_resize, step, left_out=()):
    """The distributed, endless data set of batches that follow `step`."""
    order = input_pipeline.Order(
        seed=run_config.seed,
        shuffle_buffer=run_config.shuffle_buffer,
        start_example=step * run_config.global_batch_size,
        left_out=tuple(left_out),
    )

    def for_host(context):
        # Of one replica: the strategy takes as many batches a step as the host has replicas.
        batch_size = context.get_per_replica_batch_size(run_config.global_batch_size)
        return host_batches(run_config, info, sizes, map_resize, order, batch_size, context)

    return strategy.distribute_datasets_from_function(for_host)


def host_batches(run_config, info, sizes, map_resize, order, batch_size, input_context=None):
    """The batches of one host, cut and mirrored as the flags say."""
    side = max(sizes.values(), default=1)
    view = input_pipeline.View(
        image_size=run_config.image_size,
        clickmap_size=side,  # the step makes coarser ones of these
        clickmap_blur=clickmaps.parse_blur(run_config.clickmap_blur),
        clickmap_resize=map_resize,
        clickmap_shift=map_operators.alignment_shift(
            run_config.map_alignment, side, run_config.image_size
        ),
        map_source=run_config.map_source,
        crop=run_config.crop,
        crop_fraction=run_config.crop_fraction,
        flip=run_config.flip,
    )
    return input_pipeline.make_train_dataset(
        run_config.data_dir,
        info,
        run_config.train_split,
        view,
        order,
        batch_size=batch_size,
        input_context=input_context,
    )
