"""Trains a network on images and click maps.

    python -m gala_tf.train --flagfile=experiments/quickstart.flags
    python -m gala_tf.train --tpu=NAME --flagfile=experiments/full_ilsvrc.flags \\
        --data_dir=gs://BUCKET/ilsvrc12 --model_dir=gs://BUCKET/runs/gala

The same flags run on a TPU, on all local GPUs or on the CPU. Started again with the same
`--model_dir`, a run resumes at the exact step.
"""

import dataclasses
import os
import time
from collections.abc import Callable
from typing import Any

from absl import flags

from gala_tf import command, config, plan, records


class NonFiniteLossError(RuntimeError):
    """The loss is no longer finite; the message names the step and the layer."""


def training_batches(strategy, run_config, info, sizes, map_resize, step):
    """The distributed, endless data set of batches that follow `step`."""
    from gala_tf import clickmaps, input_pipeline

    def for_host(context):
        return input_pipeline.make_train_dataset(
            run_config.data_dir,
            info,
            run_config.train_split,
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


# ------------------------------------------------------------------ what computes


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
    train_steps: Callable
    average_statistics: Callable


def build_session(run_config: config.Config, info: records.DatasetInfo, strategy) -> Session:
    """Builds network, optimizer and steps, every variable in the strategy's scope.

    Raises:
        ValueError: the batch does not divide by the replicas, the flags describe no network, or
            maps have nothing to supervise.
    """
    from gala_tf import optimizers, run_directory, train_step

    replicas = strategy.num_replicas_in_sync
    loss_scaling = run_config.precision == "mixed_float16"
    length = plan.make_plan(run_config, info, replicas)
    schedule = plan.make_schedule(run_config, length)
    with strategy.scope():
        network = run_directory.build_network(run_config, info.num_classes)
        sizes = plan.supervised_sizes(network, run_config)
        optimizer = optimizers.make_optimizer(schedule, run_config.momentum, loss_scaling)
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
    return Session(
        length,
        network,
        schedule,
        optimizer,
        sizes,
        map_resize,
        columns,
        train_step.make_train_steps(strategy, replica_step, columns, loss_scaling),
        train_step.make_average_statistics(strategy, network),
    )


# ------------------------------------------------------------------ the run


def check_place(run_config: config.Config, place: dict, facts: dict) -> None:
    """ValueError if a run resumes on hardware that computes something else.

    Batch statistics are of one replica's images, and maps are resized otherwise on a TPU.
    """
    changed = {name: (facts[name], value) for name, value in place.items() if facts[name] != value}
    if changed and not run_config.allow_flag_changes:
        listed = "; ".join(f"{name}: was {old}, is {new}" for name, (old, new) in changed.items())
        raise ValueError(
            f"The run in --model_dir={run_config.model_dir} began on other hardware ({listed}), "
            "and would go on differently here. Use the same, or --allow_flag_changes if this is "
            "meant."
        )


def remedy(run_config: config.Config, last_step: int) -> str:
    """What to do about a loss that is not finite, and what is left."""
    return (
        f"The newest checkpoint in {run_config.model_dir} is of step {last_step}, from before "
        "(0: there is none). Try a lower --learning_rate_per_256 or --map_loss_weight, or a longer "
        "--warmup_epochs, in a new --model_dir, or from that step with --allow_flag_changes."
    )


def train_and_evaluate(run_config: config.Config) -> dict:
    """Trains as `run_config` says, keeps the best weights, and evaluates them.

    Returns:
        {"validation": numbers of the last validation, "test": results of --test_split, if any}.

    Raises:
        ValueError: flags, data and hardware contradict each other; before anything costly.
        NonFiniteLossError: the loss stopped being finite; the last checkpoint is from before.
    """
    import tensorflow as tf

    from gala_tf import (
        checkpoints,
        evaluate,
        input_pipeline,
        logs,
        run_directory,
        scores,
        train_step,
    )
    from gala_tf import strategy as strategies

    # --- checks
    if not run_config.model_dir:
        raise ValueError("--model_dir is not set: name the directory that the run shall fill.")
    info = plan.prepare_data(run_config)
    if run_config.deterministic:
        tf.config.experimental.enable_op_determinism()
    strategy = strategies.make_strategy(
        run_config.tpu, run_config.tpu_zone, run_config.gcp_project, run_config.cpu_devices
    )
    replicas = strategy.num_replicas_in_sync
    run_directory.check(run_config, info)

    session = build_session(run_config, info, strategy)
    length, network, schedule = session.length, session.network, session.schedule
    evaluator = evaluate.Evaluator(strategy, network, run_config, info, run_config.validation_split)

    # --- run directory; resume where the newest checkpoint ends
    run_directory.start(run_config, info)
    directory = run_config.model_dir
    rolling = checkpoints.Checkpoints(
        os.path.join(directory, "checkpoints"),
        run_config.keep_checkpoints,
        model=network,
        optimizer=session.optimizer,
    )
    best = checkpoints.Checkpoints(os.path.join(directory, "best"), 1, model=network)
    place = {"replicas": replicas, "map_resize": session.map_resize}
    facts = rolling.restore_newest() or {"step": 0, "best_top1": -1.0, "validation": {}, **place}
    check_place(run_config, place, facts)
    step, best_top1, validation = facts["step"], facts["best_top1"], facts["validation"]

    log = logs.MetricLog(directory, step)
    progress = logs.Progress(step, length.total_steps)
    progress.say(
        f"{scores.network_name(run_config)} on {info.name}: {length.total_steps} steps of "
        f"{run_config.global_batch_size} images, {info.num_classes} classes, {replicas} replica(s)"
        + (f"; resumed at step {step}" if step else "")
    )

    # --- loop
    iterator = iter(
        training_batches(strategy, run_config, info, session.sizes, session.map_resize, step)
    )
    end = min(length.total_steps, run_config.stop_after_steps or length.total_steps)
    while step < end:
        stop = min(end, length.next_stop(step, run_config.steps_per_loop))
        started = time.monotonic()
        with input_pipeline.named_records(run_config.data_dir, info, run_config.train_split):
            sums, bad_step, bad_vector = session.train_steps(iterator, tf.constant(stop - step))
        if bad_step >= 0:
            progress.close()
            reason = train_step.explain_non_finite(session.columns, bad_vector.numpy())
            raise NonFiniteLossError(
                f"The loss is not finite at step {step + int(bad_step) + 1}: {reason}. "
                f"{remedy(run_config, facts['step'])}"
            )
        numbers = train_step.describe(session.columns, sums.numpy() / (stop - step))
        numbers["images_per_second"] = (
            (stop - step) * run_config.global_batch_size / (time.monotonic() - started)
        )
        numbers["learning_rate"] = float(schedule(stop - 1))
        numbers["epoch"] = stop / length.steps_per_epoch
        progress.advance(stop - step, {**numbers, "validation_top1": validation.get("top1")})
        step = stop
        log.write(step, "train", numbers)

        is_due = length.saves_at(step) or step == end
        if is_due:
            session.average_statistics()
            variable = train_step.non_finite_variable(network)
            if variable:  # its update overflowed, though loss and gradients were finite
                progress.close()
                advice = remedy(run_config, facts["step"])
                raise NonFiniteLossError(f"{variable} is not finite after step {step}. {advice}")
        if step in length.validation_steps:
            predictions = evaluator.run()
            validation = scores.validation_numbers(predictions)
            log.write(step, run_config.validation_split, validation)
            log.write_image(step, "attention", evaluator.picture(predictions))
            if validation["top1"] > best_top1:
                best_top1 = validation["top1"]
                best.save(step, validation=validation)
        if is_due:
            facts = {"step": step, "best_top1": best_top1, "validation": validation, **place}
            rolling.save(**facts)
    progress.close()

    # --- the best weights, on a split that training has not seen
    results = {"validation": validation}
    if run_config.test_split and step == length.total_steps:
        results["test"] = evaluate.evaluate_run(
            directory, run_config.test_split, "best", strategy=strategy
        )
    return results


if __name__ == "__main__":
    config.define_flags()
    flags.adopt_module_key_flags(config)
    command.run(lambda: train_and_evaluate(config.from_flags()), (ValueError, NonFiniteLossError))
