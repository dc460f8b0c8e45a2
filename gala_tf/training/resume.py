"""Where a run stands: at its newest checkpoint, or at the beginning."""

import math

from gala_tf.data import left_out
from gala_tf.distribution import consensus
from gala_tf.distribution.strategy import hosts
from gala_tf.evaluation import naming
from gala_tf.runs import logs
from gala_tf.training import checks, plan, session
from gala_tf.training.guards import Guards
from gala_tf.training.run import Run, State


def place(run: Run) -> dict:
    """What a run must find the same when it goes on, or it would compute something else."""
    return {
        "replicas": run.strategy.num_replicas_in_sync,
        "hosts": hosts(run.strategy),
        "map_resize": run.session.map_resize,
    }


def beginning(run: Run) -> dict:
    """The facts of a run that has not begun."""
    return {
        "step": 0,
        "best_top1": -1.0,
        "best_cross_entropy": None,
        "validation": {},
        "validation_due": False,
        **place(run),
    }


def is_best(numbers: dict, facts: dict) -> bool:
    """Whether a validation is better than the best so far: by top-1, as the paper chooses.

    On few images top-1 soon stays the same; then the lower cross-entropy decides.
    """
    if numbers["top1"] != facts["best_top1"]:
        return numbers["top1"] > facts["best_top1"]
    best = facts["best_cross_entropy"]
    # None: a checkpoint from before ties were decided. A NaN is never the lower one.
    return best is not None and (numbers["cross_entropy"] < best or math.isnan(best))


def resume(run: Run, guards: Guards) -> State:
    """The state at the newest checkpoint's end, or at the beginning."""
    cfg, facts = run.config, beginning(run)
    found = run.rolling.restore_newest()
    if found:
        # What an older checkpoint does not say is as at the beginning.
        facts = {name: found.get(name, default) for name, default in facts.items()}
    step = facts["step"]
    remedy = "Start again when the file system shows all machines the same --model_dir."
    consensus.agree(run.strategy, {"the newest checkpoint": f"step {step}"}, remedy)
    checks.check_place(cfg, place(run), facts)

    # A validation that is still to be made may have left its line: it will be written again.
    again = cfg.validation_split if facts["validation_due"] else ""
    log = guards.write("metrics.jsonl", logs.MetricLog, cfg.model_dir, step, again)
    log = log or consensus.Silent()
    progress = logs.Progress(step, run.session.length.total_steps)
    _announce(run, step, progress.say)
    lists = left_out.load(cfg.model_dir)
    missing = left_out.count(lists, step * cfg.global_batch_size)
    if missing:
        progress.say(f"{missing} records that cannot be read are left out ({left_out.FILE}).")
        numbers = {"left_out_records": float(missing)}
        guards.write("metrics.jsonl", log.write, step, "data", numbers)
    sizes, map_resize = run.session.sizes, run.session.map_resize
    batches = session.training_batches(run.strategy, cfg, run.info, sizes, map_resize, step, lists)
    return State(step, facts, iter(batches), lists, log, progress)


def _announce(run, step, say):
    cfg, total = run.config, run.session.length.total_steps
    here = place(run)
    say(
        f"{naming.network_name(cfg)} on {run.info.name}: {total} steps of "
        f"{cfg.global_batch_size} images, {run.info.num_classes} classes, {here['replicas']} "
        "replica(s)" + (f"; resumed at step {step}" if step else "")
    )
    by_host = plan.examples_by_host(run.info, cfg.train_split, here["hosts"])
    unused = sum(by_host) - len(by_host) * min(by_host)
    if unused:
        say(
            f"{unused} images, others each time, are left out of an epoch: the hosts' own shards "
            f"hold {min(by_host)} to {max(by_host)} images. More shards would even that out."
        )
