"""Trains a network on images and click maps.

    python -m gala_tf.train --flagfile=experiments/quickstart.flags
    python -m gala_tf.train --tpu=NAME --flagfile=experiments/full_ilsvrc.flags \\
        --data_dir=gs://BUCKET/ilsvrc12 --model_dir=gs://BUCKET/runs/gala

The same flags run on a TPU, on all local GPUs or on the CPU. Started again with the same
`--model_dir`, a run resumes at the exact step.
"""

import dataclasses
import os
import subprocess
import sys

from absl import app, logging

from gala_tf import config, records


class NonFiniteLossError(RuntimeError):
    """The loss is no longer finite; the message names the step and the layer."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """The length of a run, in steps (one step = one global batch)."""

    steps_per_epoch: float
    total_steps: int
    eval_steps: tuple[int, ...]  # validate after these; the last is total_steps
    checkpoint_every: int  # 0: at each validation only

    def next_stop(self, step: int, steps_per_loop: int) -> int:
        """The step up to which the device may go on without the host."""
        stops = [step + steps_per_loop, next(s for s in self.eval_steps if s > step)]
        if self.checkpoint_every:
            stops.append((step // self.checkpoint_every + 1) * self.checkpoint_every)
        return min(stops)

    def saves_at(self, step: int) -> bool:
        """Whether a checkpoint is due after this step."""
        return step in self.eval_steps or bool(
            self.checkpoint_every and step % self.checkpoint_every == 0)


# ------------------------------------------------------------------ checks, before anything costly


def prepare_data(run_config: config.Config) -> records.DatasetInfo:
    """The data set's sidecar, once its shards are known to be there; built first if it may be.

    Raises:
        ValueError: no data set, a damaged one, or one that contradicts the flags.
    """
    import tensorflow as tf

    data_dir = run_config.data_dir
    if not data_dir:
        raise ValueError(
            "--data_dir is not set. Build a data set with `python -m data_prep.build_tfrecords` "
            "(README, 'Your own images and maps'), or start with "
            "--flagfile=experiments/quickstart.flags, which makes a small one."
        )
    if run_config.build_data_with and not tf.io.gfile.exists(
            os.path.join(data_dir, records.INFO_FILE)):
        # The one place where training reaches for data_prep: as a command, not as an import.
        command = [sys.executable, "-m", "data_prep.build_tfrecords",
                   f"--source={run_config.build_data_with}", f"--output_dir={data_dir}"]
        logging.info("no data set in %s yet: %s", data_dir, " ".join(command[1:]))
        subprocess.run(command, check=True)
    info = records.load_info(data_dir)
    for split in {run_config.train_split, run_config.validation_split, run_config.test_split} - {""}:
        records.check_shards(data_dir, info, split)
    if run_config.map_loss_weight > 0 and not info.require_split(
            run_config.train_split).with_clickmap:
        raise ValueError(
            f"--map_loss_weight={run_config.map_loss_weight}, but no image of split "
            f"{run_config.train_split!r} in {data_dir} has a click map. Build the data set with "
            "maps, or train without: --map_loss_weight=0."
        )
    cut = min(info.image.min_height, info.image.min_width) * run_config.crop_fraction
    if run_config.image_size > 4 * cut and info.image.storage != "original":
        raise ValueError(
            f"--image_size={run_config.image_size} contradicts {data_dir}, whose images give crops "
            f"of {cut:.0f} px (--crop_fraction={run_config.crop_fraction}): they would be enlarged "
            f"more than 4 times. Set --image_size to about {cut:.0f}."
        )
    return info


def make_plan(run_config: config.Config, info: records.DatasetInfo, replicas: int) -> Plan:
    """How many steps there are and when to validate.

    Raises:
        ValueError: the batch does not divide by the replicas, or is larger than the split.
    """
    batch = run_config.global_batch_size
    if batch % replicas:
        below = batch // replicas * replicas
        raise ValueError(
            f"--global_batch_size={batch} does not divide by the {replicas} replicas; use "
            f"{f'{below} or ' if below else ''}{below + replicas}."
        )
    examples = info.require_split(run_config.train_split).examples
    if batch > examples:
        raise ValueError(
            f"--global_batch_size={batch} is more than the {examples} images of split "
            f"{run_config.train_split!r}; use at most {examples // replicas * replicas}."
        )
    steps_per_epoch = examples / batch
    total = max(1, round(run_config.epochs * steps_per_epoch))
    interval = max(1.0, run_config.eval_every_epochs * steps_per_epoch)
    evals = {round(i * interval) for i in range(1, int(total / interval) + 1)}
    evals = tuple(sorted({step for step in evals if step < total} | {total}))
    return Plan(steps_per_epoch, total, evals, run_config.checkpoint_every_steps)


def supervised_sizes(network, run_config: config.Config) -> dict[str, int]:
    """{layer: map side in pixels} of the volumes that maps supervise; empty without supervision.

    Raises:
        ValueError: maps should supervise attention, and there is none with an extent in space.
    """
    if run_config.map_loss_weight == 0:
        return {}
    sizes = {name: volume.shape[1] for name, volume in network.output[run_config.map_target].items()}
    if not sizes or min(sizes.values()) < 2:
        raise ValueError(
            f"--map_loss_weight={run_config.map_loss_weight} with --attention={run_config.attention}: "
            "there is no attention with an extent in space that maps could supervise. Use "
            "--attention=gala, or --map_target=activity, or --map_loss_weight=0."
        )
    return sizes


def make_schedule(run_config: config.Config, plan: Plan):
    """The learning rate by step; its base scales with the batch."""
    from gala_tf import schedules

    base = run_config.learning_rate_per_256 * run_config.global_batch_size / 256
    warmup = round(run_config.warmup_epochs * plan.steps_per_epoch)
    if run_config.schedule == "cosine":
        return schedules.Cosine(base, plan.total_steps, warmup)
    boundaries = [round(epoch * plan.steps_per_epoch) for epoch in run_config.decay_epochs]
    return schedules.PiecewiseConstant(base, boundaries, run_config.decay_factor, warmup)


def training_batches(strategy, run_config, info, sizes, map_resize, step):
    """The distributed, endless data set of batches that follow `step`."""
    from gala_tf import clickmaps, input_pipeline

    def for_host(context):
        return input_pipeline.make_train_dataset(
            run_config.data_dir, info, run_config.train_split,
            batch_size=context.get_per_replica_batch_size(run_config.global_batch_size),
            image_size=run_config.image_size,
            crop=run_config.crop,
            crop_fraction=run_config.crop_fraction,
            flip=run_config.flip,
            clickmap_size=max(sizes.values(), default=1),
            clickmap_resize=map_resize,
            clickmap_blur=clickmaps.parse_blur(run_config.clickmap_blur),
            map_source=run_config.map_source,
            seed=run_config.seed,
            start_example=step * run_config.global_batch_size,
            shuffle_buffer=run_config.shuffle_buffer,
            input_context=context,
        )

    return strategy.distribute_datasets_from_function(for_host)


# ------------------------------------------------------------------ the run


def train_and_evaluate(run_config: config.Config) -> dict:
    """Trains as `run_config` says, keeps the best weights, and evaluates them.

    Returns:
        {"validation": numbers of the last validation, "test": results of --test_split, if any}.

    Raises:
        ValueError: flags, data and hardware contradict each other; before anything costly.
        NonFiniteLossError: the loss stopped being finite; the last checkpoint is from before.
    """
    import tensorflow as tf

    from gala_tf import checkpoints, evaluate, logs, optimizers, run_directory, train_step
    from gala_tf import strategy as strategies

    # --- checks
    if not run_config.model_dir:
        raise ValueError("--model_dir is not set: name the directory that the run shall fill.")
    info = prepare_data(run_config)
    if run_config.deterministic:
        tf.config.experimental.enable_op_determinism()
    strategy = strategies.make_strategy(
        run_config.tpu, run_config.tpu_zone, run_config.gcp_project, run_config.cpu_devices)
    replicas = strategy.num_replicas_in_sync
    plan = make_plan(run_config, info, replicas)
    run_directory.check(run_config, info)

    # --- network and optimizer: every variable is made in the strategy's scope
    with strategy.scope():
        network = run_directory.build_network(run_config, info.num_classes)
        sizes = supervised_sizes(network, run_config)
        schedule = make_schedule(run_config, plan)
        optimizer = optimizers.make_optimizer(
            schedule, run_config.momentum, run_config.precision == "mixed_float16")
        optimizer.build(network.trainable_variables)  # lazily it would fail inside strategy.run

    # --- steps
    map_resize = run_config.map_resize
    if map_resize == "auto":  # the paper: bicubic, and bilinear on TPUs
        map_resize = "bilinear" if run_config.tpu else "bicubic"
    replica_step, columns = train_step.make_replica_step(
        network, optimizer, sizes,
        global_batch_size=run_config.global_batch_size,
        replicas=replicas,
        map_loss_weight=run_config.map_loss_weight,
        map_target=run_config.map_target,
        map_resize=map_resize,
        weight_decay=run_config.weight_decay,
        label_smoothing=run_config.label_smoothing,
    )
    train_steps = train_step.make_train_steps(strategy, replica_step, columns)
    average_statistics = train_step.make_average_statistics(strategy, network)
    evaluator = evaluate.Evaluator(strategy, network, run_config, info, run_config.validation_split)

    # --- run directory; resume where the newest checkpoint ends
    run_directory.start(run_config, info)
    directory = run_config.model_dir
    rolling = checkpoints.Checkpoints(os.path.join(directory, "checkpoints"),
                                      run_config.keep_checkpoints, model=network, optimizer=optimizer)
    best = checkpoints.Checkpoints(os.path.join(directory, "best"), 1, model=network)
    facts = rolling.restore_newest() or {"step": 0, "best_top1": -1.0, "validation": {}}
    step, best_top1, validation = facts["step"], facts["best_top1"], facts["validation"]

    log = logs.MetricLog(directory, step)
    progress = logs.Progress(step, plan.total_steps, run_config.global_batch_size)
    progress.say(
        f"{evaluate.network_name(run_config)} on {info.name}: "
        f"{info.require_split(run_config.train_split).examples} images, {info.num_classes} classes; "
        f"{plan.total_steps} steps of {run_config.global_batch_size} images on {replicas} replica(s)"
        + (f"; resumed at step {step}" if step else ""))

    # --- loop
    iterator = iter(training_batches(strategy, run_config, info, sizes, map_resize, step))
    end = min(plan.total_steps, run_config.stop_after_steps or plan.total_steps)
    while step < end:
        stop = min(end, plan.next_stop(step, run_config.steps_per_loop))
        sums, bad_step, bad_vector = train_steps(iterator, tf.constant(stop - step))
        if bad_step >= 0:
            progress.close()
            raise NonFiniteLossError(
                f"The loss is not finite at step {step + int(bad_step) + 1}: "
                f"{train_step.explain_non_finite(columns, bad_vector.numpy())}. The newest "
                f"checkpoint in {directory} is of step {facts['step']}, from before. Try a lower "
                "--learning_rate_per_256 or --map_loss_weight, or a longer --warmup_epochs."
            )
        numbers = train_step.describe(columns, sums.numpy() / (stop - step))
        rate = progress.advance(
            stop - step, {**numbers, **{f"validation_{k}": v for k, v in validation.items()}})
        step = stop
        log.write(step, "train", {**numbers, "epoch": step / plan.steps_per_epoch,
                                  "learning_rate": float(schedule(step - 1)),
                                  "images_per_second": rate})

        if step in plan.eval_steps:
            average_statistics()
            predictions = evaluator.run()
            validation = evaluate.validation_numbers(predictions)
            log.write(step, run_config.validation_split, validation)
            log.write_image(step, "attention", evaluator.picture(predictions))
            if validation["top1"] > best_top1:
                best_top1 = validation["top1"]
                best.save(step, validation=validation)
        if plan.saves_at(step) or step == end:
            average_statistics()
            facts = {"step": step, "best_top1": best_top1, "validation": validation}
            rolling.save(**facts)
    progress.close()

    # --- the best weights, on a split that training has not seen
    results = {"validation": validation}
    if run_config.test_split and step == plan.total_steps:
        results["test"] = evaluate.evaluate_run(
            directory, run_config.test_split, "best", strategy=strategy)
    return results


def main(arguments):
    """Reads the flags and trains; a mistake in them is one line, not a traceback."""
    if len(arguments) > 1:
        raise app.UsageError(f"unexpected arguments: {' '.join(arguments[1:])}")
    try:
        train_and_evaluate(config.from_flags())
    except (ValueError, NonFiniteLossError) as error:
        logging.debug("traceback", exc_info=True)
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    config.define_flags()
    app.run(main)
