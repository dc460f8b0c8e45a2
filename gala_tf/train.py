"""Trains a network on images and click maps.

    python -m gala_tf.train --flagfile=experiments/quickstart.flags
    python -m gala_tf.train --tpu=NAME --flagfile=experiments/full_ilsvrc.flags \\
        --data_dir=gs://BUCKET/ilsvrc12 --model_dir=gs://BUCKET/runs/gala

The same flags run on a TPU, on all local GPUs or on the CPU. Started again with the same
`--model_dir`, a run resumes at the exact step. SIGTERM, SIGINT or the notice of preemption save and
end it (`interruption`).
"""

import dataclasses
import functools
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from absl import flags

from gala_tf import command, config
from gala_tf.data import dataset_info
from gala_tf.distribution import consensus
from gala_tf.resilience import full_disk, interruption, stall
from gala_tf.training import non_finite, plan
from gala_tf.training import session as sessions
from gala_tf.training.non_finite import NonFiniteLossError

# ------------------------------------------------------------------ the run


def check_place(run_config: config.Config, place: dict, facts: dict) -> None:
    """ValueError if a run resumes on hardware that computes something else.

    Batch statistics are of one replica's images, every host has its own order of its own shards,
    and maps are resized otherwise on a TPU.
    """
    changed = {name: (facts[name], value) for name, value in place.items() if facts[name] != value}
    if changed and not run_config.allow_flag_changes:
        listed = "; ".join(f"{name}: was {old}, is {new}" for name, (old, new) in changed.items())
        raise ValueError(
            f"The run in --model_dir={run_config.model_dir} began on other hardware ({listed}), "
            "and would go on differently here. Use the same, or --allow_flag_changes if this is "
            "meant."
        )


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run consists of while its process lasts."""

    config: config.Config
    info: dataset_info.DatasetInfo
    strategy: Any
    session: sessions.Session
    evaluator: Any  # of the validation split
    rolling: Any  # Checkpoints of everything
    best: Any  # Checkpoints of the network
    watch: interruption.Watch
    watchdog: stall.Watchdog

    def write(self, what: str, call: Callable, *arguments, **named) -> Any:
        """Calls what writes into the run directory; of several workers only the chief does.

        Where the disk is full, it waits (`storage`).
        """
        if not consensus.is_chief(self.strategy):
            return None
        return full_disk.keep_trying(
            lambda: call(*arguments, **named),
            f"{what} in {self.config.model_dir}",
            self.config.model_dir,
            self.config.save_patience_seconds,
            hurried=lambda: self.watch.asked,
            left="Older checkpoints are untouched.",
        )


SAME_COMMAND = "Start the same command, of the same installation, on all machines."
SAME_DIRECTORY = "Start again when the file system shows all machines the same --model_dir."


@consensus.named_losses()
def train_and_evaluate(run_config: config.Config) -> dict:
    """Trains as `run_config` says, keeps the best weights, and evaluates them.

    Returns:
        {"validation": numbers of the last validation, "test": results of --test_split, if any}.

    Raises:
        ValueError: flags, data and hardware contradict each other; before anything costly. Or a
            record cannot be read, and --on_bad_record=fail.
        NonFiniteLossError: the loss stopped being finite; the last checkpoint is from before.
        interruption.Interrupted: the run was asked to end, and has saved.
        storage.StorageError: what it has cannot be saved.
        agreement.LostWorkerError: of several workers one is gone.
    """
    import tensorflow as tf

    from gala_tf.data import bad_records
    from gala_tf.distribution import cluster
    from gala_tf.distribution import strategy as strategies
    from gala_tf.evaluation import evaluate_run
    from gala_tf.runs import checkpoints, logs
    from gala_tf.runs import directory as run_directory

    # --- checks
    group = cluster.from_environment()  # several machines, or None
    if not run_config.model_dir:
        raise ValueError("--model_dir is not set: name the directory that the run shall fill.")
    info = plan.prepare_data(run_config, len(group.addresses) if group else 1)
    if run_config.deterministic:
        tf.config.experimental.enable_op_determinism()
    strategy = strategies.make_strategy(
        run_config.tpu, run_config.tpu_zone, run_config.gcp_project, run_config.cpu_devices, group
    )
    consensus.agree(strategy, run_directory.identity(run_config, info), SAME_COMMAND)
    run_directory.check(run_config, info)
    session = sessions.build_session(run_config, info, strategy)
    evaluator = evaluate_run.RunEvaluator(
        strategy, session.network, run_config, info, run_config.validation_split
    )

    # --- run directory
    directory = run_config.model_dir
    if consensus.is_chief(strategy):  # of several workers it alone writes
        full_disk.keep_trying(
            lambda: run_directory.start(run_config, info), f"flags in {directory}", directory
        )
    environment = os.path.join(directory, run_directory.ENVIRONMENT_FILE)
    consensus.agree_on_directory(strategy, environment)
    rolling = checkpoints.Checkpoints(
        os.path.join(directory, "checkpoints"),
        run_config.keep_checkpoints,
        model=session.network,
        optimizer=session.optimizer,
    )
    best = checkpoints.Checkpoints(os.path.join(directory, "best"), 1, model=session.network)

    # --- training
    total = session.length.total_steps
    with (
        interruption.Watch(logs.say, run_config.preemption_notice) as watch,
        stall.Watchdog(run_config.stall_timeout_seconds) as watchdog,
    ):
        run = Run(run_config, info, strategy, session, evaluator, rolling, best, watch, watchdog)
        facts = None
        while facts is None:
            try:
                facts = train(run, min(total, run_config.stop_after_steps or total))
            except bad_records.BadRecordsError as error:
                if run_config.on_bad_record == "fail":
                    raise
                leave_out(run, error)
    consensus.exchange(strategy, "saved")  # before the others read what the chief wrote

    # --- the best weights, on a split that training has not seen
    results = {"validation": facts["validation"]}
    if run_config.test_split and facts["step"] == total:
        results["test"] = full_disk.keep_trying(
            lambda: evaluate_run.evaluate_run(
                directory, run_config.test_split, "best", strategy=strategy
            ),
            f"results in {directory}",
            directory,
            left="Checkpoints are untouched.",
        )
    consensus.leave(strategy)
    return results


# ------------------------------------------------------------------ the loop


@dataclasses.dataclass
class State:
    """What changes while a session trains.

    Facts are what a checkpoint holds besides values: step, best_top1, validation (the numbers of
    the last one), validation_due (whether that of its own step is still to be made), and what the
    run computes on.
    """

    step: int
    facts: dict  # of the newest checkpoint
    left_out: tuple  # bad_records.LeftOut of what the iterator does not read
    iterator: Any
    log: Any
    progress: Any
    profile: Any
    pace: interruption.Pace
    asked: bool = False  # to end; the same on all machines


def resume(run: Run) -> State:
    """The state at the newest checkpoint's end, or at the beginning."""
    from gala_tf.data import bad_records
    from gala_tf.distribution import strategy as strategies
    from gala_tf.evaluation import naming
    from gala_tf.runs import logs
    from gala_tf.training import profiling

    cfg, session, strategy = run.config, run.session, run.strategy
    place = {
        "replicas": strategy.num_replicas_in_sync,
        "hosts": strategies.hosts(strategy),
        "map_resize": session.map_resize,
    }
    fresh = {"step": 0, "best_top1": -1.0, "validation": {}, "validation_due": False, **place}
    found = run.rolling.restore_newest() or {}
    # Checkpoints of version 0.1 do not say all of it.
    facts = {name: found.get(name, value) for name, value in fresh.items()}
    step = facts["step"]
    consensus.agree(strategy, {"the newest checkpoint": f"step {step}"}, SAME_DIRECTORY)
    check_place(cfg, place, facts)

    again = cfg.validation_split if facts["validation_due"] else ""
    log = run.write("metrics.jsonl", logs.MetricLog, cfg.model_dir, step, again)
    progress = logs.Progress(step, session.length.total_steps)
    progress.say(
        f"{naming.network_name(cfg)} on {run.info.name}: {session.length.total_steps} steps of "
        f"{cfg.global_batch_size} images, {run.info.num_classes} classes, {place['replicas']} "
        "replica(s)" + (f"; resumed at step {step}" if step else "")
    )
    by_host = plan.examples_by_host(run.info, cfg.train_split, place["hosts"])
    unused = sum(by_host) - len(by_host) * min(by_host)
    if unused:
        progress.say(
            f"{unused} images, others each time, are left out of an epoch: the hosts' own shards "
            f"hold {min(by_host)} to {max(by_host)} images. More shards would even that out."
        )
    profile_steps = cfg.profile_steps if consensus.is_chief(strategy) else ()
    left_out = bad_records.load(cfg.model_dir)
    state = State(
        step,
        facts,
        left_out,
        iter(
            sessions.training_batches(
                strategy, cfg, run.info, session.sizes, session.map_resize, step, left_out
            )
        ),
        log or consensus.Silent(),
        progress,
        profiling.Profile(cfg.model_dir, profile_steps, step, progress.say),
        interruption.Pace(),
    )
    missing = bad_records.count(left_out, step * cfg.global_batch_size)
    if missing:
        progress.say(f"{missing} records that cannot be read are left out ({bad_records.FILE}).")
        numbers = {"left_out_records": float(missing)}
        run.write("metrics.jsonl", state.log.write, step, "data", numbers)
    if cfg.on_bad_record == "skip" and not found:
        run.write("the checkpoint of step 0", run.rolling.save, **facts)  # to return to
    return state


def train(run: Run, end: int) -> dict:
    """Trains from where the newest checkpoint ends to step `end`; returns the facts of the last."""
    from gala_tf.data import bad_records
    from gala_tf.runs import logs

    state = resume(run)
    length, alone = run.session.length, len(consensus.exchange(run.strategy, 0)) == 1

    def poll():
        """Ends the run, if asked to and all that is done is saved."""
        saved = state.facts["step"] == state.step
        if saved and (alone or state.asked):  # several machines agree on it while they train
            flag_file = os.path.join(run.config.model_dir, "run.flags")
            run.watch.check(
                f"step {state.step} is saved. To go on, start the same command again, or "
                f"`python -m gala_tf.train --flagfile={flag_file}`."
            )

    try:
        while True:
            if state.facts["validation_due"]:  # first: it may be what a session left to do
                validate(run, state, poll)
            poll()
            if state.step >= end:
                break
            train_steps(run, state, end)
            if length.saves_at(state.step) or state.step == end or state.asked:
                save(run, state)
        state.profile.at(state.step)
    finally:
        state.progress.close()
        state.profile.close()
    missing = bad_records.count(state.left_out, state.step * run.config.global_batch_size)
    if missing:
        logs.say(f"{missing} records that cannot be read were left out ({bad_records.FILE}).")
    return state.facts


def train_steps(run: Run, state: State, end: int) -> None:
    """Trains to the next stop, or less if asked to end, and logs the mean numbers."""
    import tensorflow as tf

    from gala_tf.data import reading
    from gala_tf.training import step as train_step

    cfg, session = run.config, run.session
    before, began, total = state.step, time.monotonic(), 0.0
    stop = min(end, session.length.next_stop(before, cfg.steps_per_loop))
    while state.step < stop and not state.asked:
        state.profile.at(state.step)
        count, started = min(stop - state.step, state.pace.steps), time.monotonic()
        first, saved = state.pace.calls == 0, state.facts["step"]
        report = functools.partial(
            non_finite.report_stall, cfg, run.info, state.step, saved, first, one_batch(run)
        )
        with (
            run.watchdog.watching(f"steps {state.step + 1} to {state.step + count}", report),
            reading.named_records(cfg.data_dir, run.info, cfg.train_split, state.left_out),
            state.profile.call(state.step),
        ):
            sums, bad_step, bad_vector = session.train_steps(state.iterator, tf.constant(count))
            bad_step = int(bad_step)  # waits for the device
        if bad_step >= 0:
            where = state.step + bad_step + 1
            non_finite.raise_non_finite(cfg, session.columns, bad_vector.numpy(), where, saved)
        run.watch.begin()  # there is something to save
        total, state.step = total + sums.numpy(), state.step + count
        # One machine that stops alone, or takes another number of steps, would block the others.
        took = consensus.exchange(run.strategy, [time.monotonic() - started, run.watch.asked])
        state.pace.took(count, max(seconds for seconds, _ in took))
        state.asked = any(asked for _, asked in took)
    if state.asked:
        run.watch.ask("another machine of this run was asked to end", 128 + signal.SIGTERM)

    count = state.step - before
    numbers = train_step.describe(session.columns, total / count)
    numbers["images_per_second"] = count * cfg.global_batch_size / (time.monotonic() - began)
    numbers["learning_rate"] = float(session.schedule(state.step - 1))
    numbers["epoch"] = state.step / session.length.steps_per_epoch
    shown = {**numbers, "validation_top1": state.facts["validation"].get("top1")}
    state.progress.advance(count, shown)
    run.write("metrics.jsonl", state.log.write, state.step, "train", numbers)


def one_batch(run: Run) -> Callable:
    """A function that reads, decodes and augments a single image, without shuffling."""
    few = {"batch_size": 1, "start_example": 0, "shuffle_buffer": 1}
    sizes, map_resize = run.session.sizes, run.session.map_resize
    return lambda: next(iter(sessions.host_batches(run.config, run.info, sizes, map_resize, **few)))


def save(run: Run, state: State) -> None:
    """Saves everything; before its validation, which may take long and be interrupted."""
    from gala_tf.training import step as train_step

    run.session.average_statistics()
    variable = train_step.non_finite_variable(run.session.network)
    if variable:  # its update overflowed, though loss and gradients were finite
        advice = non_finite.remedy(run.config, state.facts["step"])
        raise NonFiniteLossError(f"{variable} is not finite after step {state.step}. {advice}")
    due = state.step in run.session.length.validation_steps
    facts = {**state.facts, "step": state.step, "validation_due": due}
    run.write(f"the checkpoint of step {state.step}", run.rolling.save, **facts)
    state.facts = facts


def validate(run: Run, state: State, poll: Callable) -> None:
    """Validates, and keeps the weights if they are the best so far."""
    from gala_tf.evaluation import scores

    step, split, facts = state.step, run.config.validation_split, dict(state.facts)
    predictions = run.evaluator.run(poll)
    numbers = scores.validation_numbers(predictions)
    run.write("metrics.jsonl", state.log.write, step, split, numbers)
    if consensus.is_chief(run.strategy):
        state.log.write_image(step, "attention", run.evaluator.picture(predictions))
    if numbers["top1"] > facts["best_top1"]:
        run.write("best/", run.best.save, step, validation=numbers)
        facts["best_top1"] = numbers["top1"]
    facts |= {"validation": numbers, "validation_due": False}
    run.write("complete.json", run.rolling.amend, **facts)
    state.facts = facts


def leave_out(run: Run, error) -> None:
    """Lists bad records, so that `train` goes on from the newest checkpoint without them.

    From there, because a call that failed may have updated some of the weights.
    """
    import tensorflow as tf

    from gala_tf.data import bad_records
    from gala_tf.runs import logs

    cfg = run.config
    logs.say(f"--on_bad_record=skip: {error}")
    start_example = run.rolling.restore_newest()["step"] * cfg.global_batch_size
    bad_records.check_share(run.info, cfg.train_split, error.bad)
    full_disk.keep_trying(
        lambda: bad_records.leave_out(
            cfg.model_dir, cfg.data_dir, run.info, cfg.train_split, error.bad, start_example
        ),
        bad_records.FILE,
        cfg.model_dir,
        cfg.save_patience_seconds,
        hurried=lambda: run.watch.asked,
    )
    if isinstance(run.strategy, tf.distribute.MultiWorkerMirroredStrategy):
        raise ValueError(
            f"{error} They are listed in {bad_records.FILE} of {cfg.model_dir} now. Start the same "
            "command again on all machines: the run goes on without them."
        ) from error


def main() -> None:
    """Trains as the flags say; a run that was asked to end has an exit status of its own."""
    try:
        train_and_evaluate(config.from_flags())
    except interruption.Interrupted as end:
        print(end, file=sys.stderr)
        sys.exit(end.status)


if __name__ == "__main__":
    config.define_flags()
    flags.adopt_module_key_flags(config)
    command.run(
        main, (ValueError, NonFiniteLossError, full_disk.StorageError, consensus.LostWorkerError)
    )
