"""What a run will be, worked out and checked before anything costly: data, length, supervision."""

import dataclasses
import os
import subprocess
import sys

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
        return step in self.validation_steps or bool(
            self.checkpoint_every and step % self.checkpoint_every == 0
        )


def prepare_data(run_config: config.Config, hosts: int = 1) -> dataset_info.DatasetInfo:
    """The data set's sidecar, once its shards are known to be there; built first if it may be.

    Args:
        run_config: the flags.
        hosts: machines that do this, each for itself.

    Raises:
        ValueError: no data set, a damaged one, or one that contradicts the flags.
    """
    import tensorflow as tf

    from gala_tf.data import bad_records

    data_dir = run_config.data_dir
    if not data_dir:
        raise ValueError(
            "--data_dir is not set. Build a data set with `python -m data_prep.build_tfrecords` "
            "(README, 'Your own images and maps'), or start with "
            "--flagfile=experiments/quickstart.flags, which makes a small one."
        )
    if run_config.tpu not in ("", "local"):
        for name in ("data_dir", "model_dir"):
            if not getattr(run_config, name).startswith("gs://"):
                raise ValueError(
                    f"--{name}={getattr(run_config, name)}: a TPU given by name reads and writes "
                    "on its own machine, so it needs a gs:// path. On the TPU VM itself use "
                    "--tpu=local, which takes local paths, too."
                )
    if run_config.build_data_with and not tf.io.gfile.exists(
        os.path.join(data_dir, dataset_info.INFO_FILE)
    ):
        # The one place where training reaches for data_prep: as a command, not as an import.
        arguments = [
            "-m",
            "data_prep.build_tfrecords",
            f"--source={run_config.build_data_with}",
            f"--output_dir={data_dir}",
        ]
        if hosts > 1:
            raise ValueError(
                f"--data_dir={data_dir}: no data set there, and {hosts} machines would build it at "
                f"once. Build it first, on one: python {' '.join(arguments)}"
            )
        print(f"no data set in {data_dir} yet: python {' '.join(arguments)}", flush=True)
        if subprocess.run([sys.executable, *arguments]).returncode:
            raise ValueError(
                f"--build_data_with={run_config.build_data_with}: building {data_dir} failed, for "
                "the reason above."
            )
    info = dataset_info.load_info(data_dir)
    splits = {run_config.train_split, run_config.validation_split, run_config.test_split}
    # What a run has found bad, and reads from copies, need not be as it was built.
    known = {file for one in bad_records.load(run_config.model_dir) for file in one.copies}
    for split in sorted(splits - {""}):
        dataset_info.check_shards(data_dir, info, split, known)
    examples_by_host(info, run_config.train_split, hosts)
    if (
        run_config.map_loss_weight > 0
        and not info.require_split(run_config.train_split).with_clickmap
    ):
        raise ValueError(
            f"--map_loss_weight={run_config.map_loss_weight}, but no image of split "
            f"{run_config.train_split!r} in {data_dir} has a click map. Build the data set with "
            "maps, or train without: --map_loss_weight=0."
        )
    sides = dataclasses.asdict(info.image)
    sides.pop("storage")
    cut = info.image.min_height * run_config.crop_fraction
    one_size = len(set(sides.values())) == 1  # images of many sizes are meant to be resized
    if one_size and not cut / 2 <= run_config.image_size <= 2 * cut:
        raise ValueError(
            f"--image_size={run_config.image_size} contradicts {data_dir}, whose images give crops "
            f"of {cut:.0f} px (--crop_fraction={run_config.crop_fraction}): they would be resized "
            f"more than twofold. Set --image_size to about {cut:.0f}."
        )
    return info


def make_plan(
    run_config: config.Config, info: dataset_info.DatasetInfo, replicas: int, hosts: int = 1
) -> Plan:
    """How many steps there are and when to validate.

    Args:
        run_config: the flags.
        info: the data set.
        replicas: devices that share a batch.
        hosts: machines that feed them, each from its own shards.

    Raises:
        ValueError: the batch does not divide by the replicas, or is larger than the split; the
            split has not a shard for each host; steps to profile lie after the end.
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
    examples_by_host(info, run_config.train_split, hosts)
    steps_per_epoch = examples / batch
    total = max(1, round(run_config.epochs * steps_per_epoch))
    interval = max(1.0, run_config.eval_every_epochs * steps_per_epoch)
    evals = {round(i * interval) for i in range(1, int(total / interval) + 1)}
    evals = tuple(sorted({step for step in evals if step < total} | {total}))
    return Plan(
        steps_per_epoch,
        total,
        evals,
        run_config.checkpoint_every_steps,
        _profile_cuts(run_config, total),
    )


def examples_by_host(info: dataset_info.DatasetInfo, split: str, hosts: int) -> list[int]:
    """How many examples of a split each host has to itself: host i reads shards i, i + hosts, ...

    Raises:
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


def check_jit_compile(run_config: config.Config, replicas: int) -> None:
    """ValueError if `--jit_compile` cannot be, or need not."""
    if run_config.jit_compile and run_config.tpu:
        raise ValueError(
            f"--jit_compile with --tpu={run_config.tpu}: a TPU's steps are always compiled; leave "
            "the flag away."
        )
    if run_config.jit_compile and replicas > 1:
        raise ValueError(
            f"--jit_compile with {replicas} replicas: TensorFlow cannot compile a step that sums "
            "gradients over devices. Leave the flag away, or show the program one device "
            "(CUDA_VISIBLE_DEVICES=0)."
        )


def supervised_sizes(network, run_config: config.Config) -> dict[str, int]:
    """{layer: map side in pixels} of the volumes that maps supervise; empty without supervision.

    Raises:
        ValueError: maps should supervise attention, and there is none with an extent in space.
    """
    if run_config.map_loss_weight == 0:
        return {}
    volumes = network.output[run_config.map_target]
    sizes = {name: volume.shape[1] for name, volume in volumes.items()}
    if not sizes or min(sizes.values()) < 2:
        raise ValueError(
            f"--map_loss_weight={run_config.map_loss_weight} with "
            f"--attention={run_config.attention}: there is no attention with an extent in space "
            "that maps could supervise. Use --attention=gala, or --map_target=activity, or "
            "--map_loss_weight=0."
        )
    return sizes


def make_schedule(run_config: config.Config, plan: Plan):
    """The learning rate by step; its base scales with the batch."""
    from gala_tf.training import schedules

    base = run_config.learning_rate_per_256 * run_config.global_batch_size / 256
    warmup = round(run_config.warmup_epochs * plan.steps_per_epoch)
    if run_config.schedule == "cosine":
        return schedules.Cosine(base, plan.total_steps, warmup)
    boundaries = [round(epoch * plan.steps_per_epoch) for epoch in run_config.decay_epochs]
    return schedules.PiecewiseConstant(base, boundaries, run_config.decay_factor, warmup)
