"""The training loop: batch, step, log, save, validate.

What can go wrong around it is in `guards` (signals, stalls, full disks, other machines) and in
`skipping` (records that cannot be read).
"""

import time

import tensorflow as tf

from gala_tf import config
from gala_tf.distribution import consensus
from gala_tf.evaluation import curves, naming, scores
from gala_tf.training import non_finite, skipping, step_vector
from gala_tf.training.guards import Guards
from gala_tf.training.resume import State, is_best, resume
from gala_tf.training.run import Run, begin, evaluate_best


@consensus.named_losses()
def train_and_evaluate(run_config: config.Config) -> dict:
    """Trains as `run_config` says, keeps the best weights, and evaluates them.

    Returns {"validation": numbers of the last one, or {}, "test": results of --test_split, if any}.

    Raises:
        ValueError: flags, data and hardware contradict each other; before anything costly. Or a
            record cannot be read, and --on_bad_record=fail.
        NonFiniteLossError: the loss stopped being finite; the last checkpoint is from before.
        interruption.Interrupted: the run was asked to end, and has saved.
        full_disk.StorageError: what it has cannot be saved.
        consensus.LostWorkerError: of several workers one is gone.
    """
    run = begin(run_config)
    total = run.session.length.total_steps
    end = min(total, run_config.stop_after_steps or total)
    with Guards(run) as guards:
        facts = skipping.without_bad_records(run, guards, lambda: train(run, guards, end))
    consensus.exchange(run.strategy, "saved")  # before the others read what the chief wrote
    results = {"validation": facts["validation"]}
    if run_config.test_split and facts["step"] == total:
        results["test"] = evaluate_best(run)
    consensus.leave(run.strategy)
    return results


def train(run: Run, guards: Guards, end: int) -> dict:
    """Trains from the newest checkpoint to step `end`; returns the facts of the last one."""
    cfg, session, length = run.config, run.session, run.session.length
    state = resume(run, guards)
    with guards.training(state):
        while True:
            if state.facts["validation_due"]:  # first: it may be what an ended process left
                validate(run, guards, state)
            guards.end_if_asked(state)
            if state.step >= end:
                return state.facts

            before, began, sums = state.step, time.monotonic(), 0.0
            stop = min(end, length.next_stop(before, cfg.steps_per_loop))  # to log, perhaps to save
            saved = state.facts["step"]
            while state.step < stop and not guards.asked:
                count = guards.steps_at_once(stop - state.step)
                with guards.call(state, count):
                    steps = session.train_steps(state.batches, tf.constant(count))
                    # Waits for the device, so that what fails in these steps fails here.
                    non_finite.check_steps(cfg, session.layout, steps, state.step, saved)
                    sums += steps.sums.numpy()
                state.step += count
            log(run, guards, state, before, began, sums)
            if length.saves_at(state.step) or state.step == end or guards.asked:
                save(run, guards, state)


def log(run: Run, guards: Guards, state: State, before: int, began: float, sums) -> None:
    """Logs means over the steps after `before`, which began at `began` and sum up to `sums`."""
    session, count = run.session, state.step - before
    images = count * run.config.global_batch_size
    numbers = step_vector.describe(session.layout, sums / count)
    numbers["images_per_second"] = images / (time.monotonic() - began)
    numbers["learning_rate"] = float(session.schedule(state.step - 1))
    numbers["epoch"] = state.step / session.length.steps_per_epoch
    shown = {**numbers, "validation_top1": state.facts["validation"].get("top1")}
    state.progress.advance(count, shown)
    # A gate that starts as the identity is flat until it has learnt something.
    if session.sizes and before >= session.schedule.warmup_steps:
        for sentence in state.alarm.look(state.step, numbers):
            state.progress.say(sentence)
    guards.write("metrics.jsonl", state.log.write, state.step, "train", numbers)


def save(run: Run, guards: Guards, state: State) -> None:
    """Saves everything; before its validation, which may take long and be interrupted."""
    run.session.average_statistics()
    non_finite.check_variables(run.config, run.session.network, state.step, state.facts["step"])
    due = run.evaluator is not None and state.step in run.session.length.validation_steps
    facts = {**state.facts, "step": state.step, "validation_due": due}
    guards.write(f"the checkpoint of step {state.step}", run.rolling.save, **facts)
    state.facts = facts


def validate(run: Run, guards: Guards, state: State) -> None:
    """Validates, and keeps the weights if they are the best so far."""
    step, facts = state.step, dict(state.facts)
    predictions = run.evaluator.run(guards.validating(state))
    numbers = scores.validation_numbers(predictions, run.info.num_classes)
    guards.write("metrics.jsonl", state.log.write, step, run.config.validation_split, numbers)
    if consensus.is_chief(run.strategy):
        state.log.write_image(step, "attention", run.evaluator.picture(predictions))
        title = f"{naming.network_name(run.config)} on {run.info.name}"
        guards.write(
            curves.FILE, curves.write, run.config.model_dir, title, run.config.validation_split
        )
    if is_best(numbers, facts):
        guards.write("best/", run.best.save, step, validation=numbers)
        facts |= {"best_top1": numbers["top1"], "best_cross_entropy": numbers["cross_entropy"]}
    facts |= {"validation": numbers, "validation_due": False}
    guards.write("complete.json", run.rolling.amend, **facts)
    state.facts = facts
