"""Every hyper-parameter, once: its default, its unit, its choices and where the default is from.

`Config` is the one list. Flags are declared from it (`define_flags`), so `--help` prints it, a
flagfile can set any of it, and a run writes all of it to `run.flags` (`to_flagfile`).

Sources: "paper" is Linsley et al. 2019; "TPU ResNet" is Google's reference TPU ResNet-50, whose
values stand where the paper is silent; "ours" is a choice of this project.
"""

import dataclasses
import functools
from typing import Any

from gala_tf import command
from gala_tf.command import AT_MOST_1, NOT_NEGATIVE, POSITIVE

BELOW_1 = command.Range("at least 0 and below 1", lambda x: 0 <= x < 1)

# `same_result`: may change between a run and its resumption, since it changes where or how fast a
# run computes but not what.
_flag = functools.partial(command.flag, same_result=False)
_data = functools.partial(_flag, group="data")
_maps = functools.partial(_flag, group="click maps")
_network = functools.partial(_flag, group="network")
_optimisation = functools.partial(_flag, group="optimisation")
_run = functools.partial(_flag, group="run")
_session = functools.partial(_run, same_result=True)
_hardware = functools.partial(_flag, group="hardware", same_result=True)


@dataclasses.dataclass(frozen=True)
class Config:
    """Hyper-parameters of a run. Field names are the flags' names; units are in the help texts."""

    data_dir: str = _data(
        "",
        "Directory of TFRecord shards made by data_prep (local or gs://).",
        same_result=True,
        path=True,
    )
    build_data_with: str = _data(
        "",
        "Source to build data_dir from where it holds no data set: `quickstart`, or another that "
        "needs no input. Runs `python -m data_prep.build_tfrecords --source=THIS "
        "--output_dir=DATA_DIR`.",
        same_result=True,
    )
    train_split: str = _data("train", "Split to train on.")
    validation_split: str = _data(
        "validation",
        "Split that selects best/ by top-1 (paper), ties by cross-entropy. Empty: none; the last "
        "weights are the result.",
    )
    test_split: str = _data(
        "",
        "Split evaluated once, after training, with the best weights. Empty: none.",
        same_result=True,
    )
    image_size: int = _data(
        224, "Height = width of the network's input, pixels (paper).", within=POSITIVE
    )
    crop: str = _data(
        "paper",
        "Training crop: random position (paper); random area and aspect too (Table 2); or as in "
        "evaluation.",
        ("paper", "inception", "center"),
    )
    crop_fraction: float = _data(
        0.875,
        "Side of the `paper` and the evaluation crop / short side: 224 / 256 (paper).",
        within=AT_MOST_1,
    )
    flip: bool = _data(True, "Mirror half of the training images, with their maps (paper).")
    shuffle_buffer: int = _data(
        10_000, "Examples the shuffle draws from (ours).", within=POSITIVE, shown=False
    )

    map_source: str = _maps(
        "clickmaps",
        "What supervises: click maps, or `boxes` = the rectangle that "
        "spans each (Table 3, 'w/ b. boxes').",
        ("clickmaps", "boxes"),
    )
    map_target: str = _maps(
        "activity",
        "What the maps supervise: `activity` of the layers with attention, gated where they have "
        "a gate (ours: the better reading of Eq. 1 on human gaze), or `attention` A itself.",
        ("activity", "attention"),
    )
    map_units: str = _maps(
        "all",
        "Units whose volumes the maps supervise, of those with attention: all, or a list as for "
        "--attention_units.",
        shown=False,
    )
    map_alignment: str = _maps(
        "grid",
        "Where a map lies under a layer: `grid` = cell on cell; `receptive_field` = where the "
        "layer's cells look, almost half a cell up and left.",
        ("grid", "receptive_field"),
        shown=False,
    )
    map_loss_weight: float = _maps(
        6.0, "lambda of Eq. 1 (paper); 0 trains without maps.", within=NOT_NEGATIVE
    )
    map_loss_reduction: str = _maps(
        "sum",
        "The map loss over layers: Eq. 1's sum, or their mean, as in the released code; lambda 6 "
        "of the mean of six layers is lambda 1 of the sum.",
        ("sum", "mean"),
    )
    clickmap_blur: str = _maps(
        "box:49",
        "Blur of the maps, pixels of the stored image: box:K (paper: 49), "
        "gaussian:K,SIGMA, disc:K or none.",
    )
    map_resize: str = _maps(
        "auto",
        "How maps are resized: `auto` = bilinear on a TPU, bicubic elsewhere (paper).",
        ("auto", "bilinear", "bicubic"),
    )

    depth: int = _network(50, "ResNet depth: 18, 34, 50, 101, 152 or 200 (paper: 50).")
    stage_blocks: tuple[int, ...] = _network(
        (),
        "Units per stage, e.g. 1,1,6,1, of a bottleneck network that is in no table; "
        "overrides depth.",
    )
    stage_widths: tuple[int, ...] = _network(
        (), "Channels per stage; default 64,128,256,512.", shown=False
    )
    width_multiplier: float = _network(1.0, "Scales all widths.", within=POSITIVE, shown=False)
    version: str = _network(
        "v1",
        "Residual unit: v1 post-activation, v2 pre-activation (paper: "
        "both, 'approximately equal').",
        ("v1", "v2"),
    )
    stem: str = _network(
        "imagenet",
        "imagenet = 7x7/2 and pooling; small = 3x3/2; tiny = 3x3/1.",
        ("imagenet", "small", "tiny"),
    )
    attention: str = _network(
        "gala",
        "Attention layer: none, se, gala, gala_residual = gala that starts as the identity (ours), "
        "or one of your own.",
    )
    attention_units: str = _network(
        "stage3", "Units with attention: stage3 (paper's six), all (classic SE), or a list."
    )
    reduction_ratio: int = _network(4, "r of the attention layers (paper).", within=POSITIVE)
    saliency_bias: float = _network(
        1.0, "Initial bias of GALA's local saliency (ours).", shown=False
    )
    zero_init_residual: bool = _network(
        False, "Start v1 units without attention as the identity (last gamma = 0).", shown=False
    )
    batch_norm_momentum: float = _network(
        0.9, "Decay of the moving statistics (TPU ResNet).", within=BELOW_1, shown=False
    )
    synchronized_batch_norm: bool = _network(False, "Batch statistics over all replicas.")

    epochs: float = _optimisation(100.0, "Passes over the training split (paper).", within=POSITIVE)
    global_batch_size: int = _optimisation(
        1024,
        "Images per step, all replicas together (paper: 1024 on TPUs, 32 on the ClickMe subset).",
        within=POSITIVE,
    )
    learning_rate_per_256: float = _optimisation(
        0.1,
        "Base learning rate for a global batch of 256; scales with the batch (TPU ResNet).",
        within=POSITIVE,
    )
    init_from: str = _optimisation(
        "",
        "Weights to start from: a run directory, imagenet, a .safetensors file of torchvision's or "
        "timm's, .keras or .weights.h5 of ours. Empty: random ones.",
    )
    freeze: tuple[str, ...] = _optimisation(
        (), "Parts that are not trained: stem, stage1, a unit or a layer, as in stem,stage1."
    )
    new_layers_rate: float = _optimisation(
        1.0,
        "Learning rate of the layers that --init_from leaves new / that of the others.",
        within=POSITIVE,
    )
    schedule: str = _optimisation(
        "piecewise",
        "Learning rate after warm-up: the paper's steps, or a cosine to 0.",
        ("piecewise", "cosine"),
    )
    warmup_epochs: float = _optimisation(
        5.0, "Length of the linear warm-up (TPU ResNet).", within=NOT_NEGATIVE
    )
    decay_epochs: tuple[float, ...] = _optimisation(
        (30.0, 60.0, 80.0, 90.0), "Epochs at which the rate is multiplied by decay_factor (paper)."
    )
    decay_factor: float = _optimisation(
        0.1, "What the rate is multiplied by at decay_epochs (paper).", within=AT_MOST_1
    )
    momentum: float = _optimisation(
        0.9, "Nesterov momentum (paper: Nesterov; value: TPU ResNet).", within=BELOW_1
    )
    weight_decay: float = _optimisation(
        1e-4, "L2 on kernels only (TPU ResNet).", within=NOT_NEGATIVE
    )
    clip_gradient_norm: float = _optimisation(
        0.0,
        "Largest L2 norm of a step's whole gradient; longer ones are shortened to it. 0 = off.",
        within=NOT_NEGATIVE,
    )
    label_smoothing: float = _optimisation(
        0.0, "Mass moved from the true class to all classes (paper: 0).", within=BELOW_1
    )
    precision: str = _optimisation(
        "float32",
        "Arithmetic of the layers; variables and losses stay float32.",
        ("float32", "mixed_bfloat16", "mixed_float16"),
    )
    jit_compile: bool = _optimisation(
        False,
        "Compile the training step with XLA; one replica only. Measure whether it pays on your "
        "device: experiments/benchmarks/xla.py. A TPU always does it.",
    )

    model_dir: str = _session("", "Run directory: flags, checkpoints, metrics, figures.", path=True)
    seed: int = _run(0, "Seeds initial weights, shuffling and augmentation.", within=command.SEED)
    deterministic: bool = _run(
        True,
        "Same seed, same flags, same shards: same weights, bit for bit on a CPU; slower on "
        "a GPU. A TPU is deterministic as it is.",
    )
    steps_per_loop: int = _session(100, "Training steps per call from the host.", within=POSITIVE)
    eval_every_epochs: float = _run(
        1.0, "Validate, and keep the best weights, each so many epochs.", within=POSITIVE
    )
    eval_batch_size: int = _session(
        0,
        "Images per evaluation step; 0 = global_batch_size.",
        within=NOT_NEGATIVE,
    )
    checkpoint_every_steps: int = _session(
        0,
        "Steps between checkpoints; 0 = at each validation.",
        within=NOT_NEGATIVE,
    )
    keep_checkpoints: int = _session(3, "Rolling checkpoints kept.", within=POSITIVE)
    stop_after_steps: int = _session(
        0,
        "End the session, resumably, at this step (a rehearsal, a time slot); 0 = never.",
        within=NOT_NEGATIVE,
    )
    profile_steps: tuple[int, ...] = _session(
        (),
        "FIRST,LAST: trace these steps, both counted, into model_dir for TensorBoard's profiler.",
    )
    allow_flag_changes: bool = _session(False, "Resume although flags changed since the run began.")

    on_bad_record: str = _session(
        "fail",
        "When a training record cannot be read: end, naming it; or go on without. `skip` goes back "
        "to the newest checkpoint and lists all such records of the split in bad_records.json (at "
        "most 10 %).",
        ("fail", "skip"),
    )
    stall_timeout_seconds: float = _session(
        300.0,
        "Report steps that take longer, with shards that do not answer; 0 = never.",
        within=NOT_NEGATIVE,
        shown=False,
    )
    save_patience_seconds: float = _session(
        600.0,
        "Where a checkpoint or log cannot be written (full disk), wait and try again so long "
        "before the run ends.",
        within=NOT_NEGATIVE,
        shown=False,
    )
    preemption_notice: str = _session(
        "auto",
        "`auto` = on Google Compute Engine, save and end when the machine is about to be taken "
        "away; `none` = on signals only.",
        ("auto", "none"),
        shown=False,
    )

    tpu: str = _hardware(
        "",
        "`local` on a TPU VM, a TPU's name, or grpc://ip:8470. Empty: all local GPUs, or the CPU.",
    )
    tpu_zone: str = _hardware("", "Zone of a TPU given by name.")
    gcp_project: str = _hardware("", "Project of a TPU given by name.")
    cpu_devices: int = _hardware(
        1,
        "Logical CPU devices that share a batch, for tests.",
        within=POSITIVE,
        shown=False,
    )

    def __post_init__(self):
        command.check(self)
        if list(self.decay_epochs) != sorted(self.decay_epochs):
            raise ValueError(f"--decay_epochs must ascend. Received: {self.decay_epochs}.")
        if self.profile_steps and not (
            len(self.profile_steps) == 2 and 1 <= self.profile_steps[0] <= self.profile_steps[1]
        ):
            raise ValueError(
                "--profile_steps must be the first and the last step to trace, counted from 1, as "
                f"in 100,110. Received: {','.join(map(str, self.profile_steps))}."
            )
        if self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"--warmup_epochs={self.warmup_epochs} must be shorter than --epochs={self.epochs}."
            )


# By it a `run.flags` is known to be whole: stays, whatever flags are added.
LAST_IN_RUN_FLAGS = "cpu_devices"


def names() -> list[str]:
    """Names of all fields, which are the names of the flags."""
    return [field.name for field in dataclasses.fields(Config)]


# As those of `command`, for Config.
define_flags = functools.partial(command.define_flags, Config)
from_flags = functools.partial(command.from_flags, Config)
from_arguments = functools.partial(command.from_arguments, Config)
to_flagfile = command.to_flagfile


def changed_flags(old: Config, new: Config) -> dict[str, tuple[Any, Any]]:
    """Flags that differ and change a run's result: {name: (old value, new value)}."""
    return {
        field.name: (getattr(old, field.name), getattr(new, field.name))
        for field in dataclasses.fields(Config)
        if not field.metadata["same_result"]
        and getattr(old, field.name) != getattr(new, field.name)
    }
