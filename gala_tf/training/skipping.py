"""`--on_bad_record=skip`: training again from the newest checkpoint, without the bad records."""

from collections.abc import Callable

from gala_tf.data import left_out
from gala_tf.data.bad_records import BadRecordsError
from gala_tf.distribution import consensus
from gala_tf.runs import checkpoints, logs
from gala_tf.training.guards import Guards
from gala_tf.training.resume import beginning
from gala_tf.training.run import Run


def without_bad_records(run: Run, guards: Guards, train: Callable[[], dict]) -> dict:
    """What `train()` returns, called again after each time that it meets bad records.

    `train` goes on from the newest checkpoint, because a call that failed may have updated some of
    the weights.

    Raises:
        BadRecordsError: of `train`, and --on_bad_record=fail.
        ValueError: too many are bad, or several machines must be started again.
    """
    cfg = run.config
    if cfg.on_bad_record == "skip" and not checkpoints.complete(run.rolling.directory):
        guards.write("the checkpoint of step 0", run.rolling.save, **beginning(run))
    while True:
        try:
            facts = train()
        except BadRecordsError as error:
            if cfg.on_bad_record == "fail":
                raise
            _leave_out(run, guards, error)
        else:
            lists = left_out.load(cfg.model_dir)
            missing = left_out.count(lists, facts["step"] * cfg.global_batch_size)
            if missing:
                logs.say(f"{missing} records that cannot be read were left out ({left_out.FILE}).")
            return facts


def _leave_out(run, guards, error):
    """Lists the bad records, which `resume` then leaves out."""
    cfg, split = run.config, run.config.train_split
    files = {shard.file for shard in run.info.splits[split].shards}
    if not any(bad.file in files for bad in error.bad):
        raise error  # of validation, which leaves out nothing
    logs.say(f"--on_bad_record=skip: {error}")
    start_example = run.rolling.restore_newest()["step"] * cfg.global_batch_size
    left_out.check_share(run.info, split, error.bad)
    arguments = cfg.model_dir, cfg.data_dir, run.info, split, error.bad, start_example
    guards.write(left_out.FILE, left_out.leave_out, *arguments)
    if not consensus.is_alone(run.strategy):
        raise ValueError(
            f"{error} They are listed in {left_out.FILE} of {cfg.model_dir} now. Start the same "
            "command again on all machines: the run goes on without them."
        ) from error
