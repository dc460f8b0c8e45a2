"""How long a run will be: when it validates, saves, and calls the device again."""

import dataclasses

from gala_tf import config
from gala_tf.data import dataset_info


@dataclasses.dataclass(frozen=True)
class Plan:
    """The length of a run, in steps (one step = one global batch)."""

    steps_per_epoch: float
    total_steps: int
    validation_steps: tuple[int, ...]  # validate after these; the last is total_steps
    checkpoint_every: int  # 0: at each validation only
    cuts: tuple[int, ...] = ()  # calls from the host end here, too: where a profile begins and ends

    def next_stop(self, step: int, steps_per_loop: int) -> int:
        """The step up to which the device may go on without the host."""
        stops = [step + steps_per_loop, next(s for s in self.validation_steps if s > step)]
        if self.checkpoint_every:
            stops.append((step // self.checkpoint_every + 1) * self.checkpoint_every)
        stops.extend(cut for cut in self.cuts if cut > step)
        return min(stops)

    def saves_at(self, step: int) -> bool:
        """Whether a checkpoint is due after this step."""
        every = self.checkpoint_every
        return step in self.validation_steps or bool(every and step % every == 0)


def make_plan(
    run_config: config.Config, info: dataset_info.DatasetInfo, replicas: int, hosts: int = 1
) -> Plan:
    """How many steps there are and when to validate.

    `replicas` devices share a batch; `hosts` machines feed them, each from its own shards.
    ValueError: the batch does not divide by the replicas, or is larger than the split; the split
    has not a shard for each host; steps to profile lie after the end.
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
        most = examples // replicas * replicas
        remedy = f"it has too few even for one each of {replicas} replicas: use fewer devices"
        if most:
            remedy = f"use at most {most} (--global_batch_size={most})"
        raise ValueError(
            f"--global_batch_size={batch} is more than the {examples} images of split "
            f"{run_config.train_split!r}; {remedy}."
        )
    examples_by_host(info, run_config.train_split, hosts)
    steps_per_epoch = examples / batch
    total = max(1, round(run_config.epochs * steps_per_epoch))  # epochs need not be whole
    interval = max(1.0, run_config.eval_every_epochs * steps_per_epoch)
    # Each counted from the beginning: a rounded interval would drift.
    evals = {round(i * interval) for i in range(1, int(total / interval) + 1)}
    evals = tuple(sorted({step for step in evals if step < total} | {total}))
    cuts = _profile_cuts(run_config, total)
    return Plan(steps_per_epoch, total, evals, run_config.checkpoint_every_steps, cuts)


def examples_by_host(info: dataset_info.DatasetInfo, split: str, hosts: int) -> list[int]:
    """How many examples of a split each host has to itself: host i reads shards i, i + hosts, ...

    ValueError: a host would have none.
    """
    counts = [shard.examples for shard in info.require_split(split).shards]
    by_host = [sum(counts[host::hosts]) for host in range(hosts)]
    if not min(by_host):
        raise ValueError(
            f"Split {split!r} of {info.name} leaves host {by_host.index(0)} of {hosts} without an "
            f"example: each reads shards of its own, and there are {len(counts)}. Build the data "
            f"set with --num_shards={hosts} or a multiple of it, or train on fewer hosts."
        )
    return by_host


def _profile_cuts(run_config, total_steps):
    """The steps done before the first and after the last that are profiled."""
    if not run_config.profile_steps:
        return ()
    first, last = run_config.profile_steps
    end = min(total_steps, run_config.stop_after_steps or total_steps)
    if last > end:
        raise ValueError(
            f"--profile_steps={first},{last}: the session ends after step {end} already; choose "
            "steps up to there."
        )
    return (first - 1, last)
