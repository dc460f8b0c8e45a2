"""Every hyper-parameter, once: its default, its unit, its choices and where the default is from.

`Config` is the one list. Flags are declared from it (`define_flags`), so `--help` prints it, a
flagfile can set any of it, and a run writes all of it to `run.flags` (`to_flagfile`).

Sources: "paper" is Linsley et al. 2019; "TPU ResNet" is Google's reference TPU ResNet-50, whose
values stand where the paper is silent; "ours" is a choice of this project.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

from absl import flags


def _flag(default: Any, help: str, choices: tuple[str, ...] = (), same_result: bool = False):
    """A field of Config. `same_result`: it may change between a run and its resumption, since
    it changes where or how fast a run computes but not what."""
    metadata = {"help": help, "choices": choices, "same_result": same_result}
    if isinstance(default, tuple):
        return dataclasses.field(default_factory=lambda: default, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


POSITIVE = (
    "image_size",
    "shuffle_buffer",
    "width_multiplier",
    "reduction_ratio",
    "epochs",
    "global_batch_size",
    "learning_rate_per_256",
    "steps_per_loop",
    "eval_every_epochs",
    "keep_checkpoints",
    "cpu_devices",
)
NOT_NEGATIVE = (
    "map_loss_weight",
    "weight_decay",
    "warmup_epochs",
    "eval_batch_size",
    "checkpoint_every_steps",
    "stop_after_steps",
    "stall_timeout_seconds",
    "save_patience_seconds",
)
BELOW_1 = ("momentum", "label_smoothing", "batch_norm_momentum")
AT_MOST_1 = ("crop_fraction", "decay_factor")


@dataclasses.dataclass(frozen=True)
class Config:
    """Hyper-parameters of a run. Field names are the flags' names; units are in the help texts."""

    # --- data
    data_dir: str = _flag(
        "", "Directory of TFRecord shards made by data_prep (local or gs://).", same_result=True
    )
    build_data_with: str = _flag(
        "",
        "Where data_dir holds no data set, first run `python -m data_prep.build_tfrecords "
        "--source=THIS --output_dir=DATA_DIR`. For sources that need no input, as `quickstart`.",
        same_result=True,
    )
    train_split: str = _flag("train", "Split to train on.")
    validation_split: str = _flag("validation", "Split that selects best/ by top-1 (paper).")
    test_split: str = _flag(
        "",
        "Split evaluated once, after training, with the best weights. Empty: none.",
        same_result=True,
    )
    image_size: int = _flag(224, "Height = width of the network's input, pixels (paper).")
    crop: str = _flag(
        "paper",
        "Training crop: `paper` = random position, fixed scale; `inception` = random "
        "area and aspect (Table 2's networks); `center` = the evaluation crop.",
        ("paper", "inception", "center"),
    )
    crop_fraction: float = _flag(
        0.875, "Side of the `paper` and the evaluation crop / short side: 224 / 256 (paper)."
    )
    flip: bool = _flag(True, "Mirror half of the training images, with their maps (paper).")
    shuffle_buffer: int = _flag(10_000, "Examples the shuffle draws from (ours).")

    # --- click maps
    map_source: str = _flag(
        "clickmaps",
        "What supervises attention: click maps, or `boxes` = the rectangle that "
        "spans each (Table 3, 'w/ b. boxes').",
        ("clickmaps", "boxes"),
    )
    map_target: str = _flag(
        "attention",
        "What the maps supervise: `attention`, or `activity` of the same layers "
        "(Table 3, 'ResNet-50 w/ ClickMe').",
        ("attention", "activity"),
    )
    map_loss_weight: float = _flag(6.0, "lambda of Eq. 1 (paper); 0 trains without maps.")
    clickmap_blur: str = _flag(
        "box:49",
        "Blur of the maps, pixels of the stored image: box:K (paper: 49), "
        "gaussian:K,SIGMA, disc:K or none.",
    )
    map_resize: str = _flag(
        "auto",
        "How maps are resized: `auto` = bilinear on a TPU, bicubic elsewhere (paper).",
        ("auto", "bilinear", "bicubic"),
    )

    # --- network
    depth: int = _flag(50, "ResNet depth: 18, 34, 50, 101, 152 or 200 (paper: 50).")
    stage_blocks: tuple[int, ...] = _flag(
        (),
        "Units per stage, e.g. 1,1,6,1, of a bottleneck network that is in no table; "
        "overrides depth.",
    )
    stage_widths: tuple[int, ...] = _flag((), "Channels per stage; default 64,128,256,512.")
    width_multiplier: float = _flag(1.0, "Scales all widths.")
    version: str = _flag(
        "v1",
        "Residual unit: v1 post-activation, v2 pre-activation (paper: "
        "both, 'approximately equal').",
        ("v1", "v2"),
    )
    stem: str = _flag(
        "imagenet",
        "imagenet = 7x7/2 and pooling; small = 3x3/2; tiny = 3x3/1.",
        ("imagenet", "small", "tiny"),
    )
    attention: str = _flag("gala", "Attention layer: none, se, gala (or one of your own).")
    attention_units: str = _flag(
        "stage3", "Units with attention: stage3 (paper's six), all (classic SE), or a list."
    )
    reduction_ratio: int = _flag(4, "r of the attention layers (paper).")
    saliency_bias: float = _flag(1.0, "Initial bias of GALA's local saliency (ours).")
    zero_init_residual: bool = _flag(
        False, "Start v1 units without attention as the identity (last gamma = 0)."
    )
    batch_norm_momentum: float = _flag(0.9, "Decay of the moving statistics (TPU ResNet).")
    synchronized_batch_norm: bool = _flag(False, "Batch statistics over all replicas.")

    # --- optimisation
    epochs: float = _flag(100.0, "Passes over the training split (paper).")
    global_batch_size: int = _flag(
        1024,
        "Images per step, all replicas together (paper: 1024 on TPUs, 32 on the ClickMe subset).",
    )
    learning_rate_per_256: float = _flag(
        0.1, "Base learning rate for a global batch of 256; scales with the batch (TPU ResNet)."
    )
    schedule: str = _flag(
        "piecewise",
        "Learning rate after warm-up: the paper's steps, or a cosine to 0.",
        ("piecewise", "cosine"),
    )
    warmup_epochs: float = _flag(5.0, "Length of the linear warm-up (TPU ResNet).")
    decay_epochs: tuple[float, ...] = _flag(
        (30.0, 60.0, 80.0, 90.0), "Epochs at which the rate is multiplied by decay_factor (paper)."
    )
    decay_factor: float = _flag(0.1, "(paper)")
    momentum: float = _flag(0.9, "Nesterov momentum (paper: Nesterov; value: TPU ResNet).")
    weight_decay: float = _flag(1e-4, "L2 on kernels only (TPU ResNet).")
    label_smoothing: float = _flag(0.0, "Mass moved from the true class to all classes (paper: 0).")
    precision: str = _flag(
        "float32",
        "Arithmetic of the layers; variables and losses stay float32.",
        ("float32", "mixed_bfloat16", "mixed_float16"),
    )
    jit_compile: bool = _flag(
        False,
        "Compile the training step with XLA; one replica only. Measure whether it pays on your "
        "device: experiments/benchmarks/xla.py. A TPU always does it.",
    )

    # --- run
    model_dir: str = _flag(
        "", "Run directory: flags, checkpoints, metrics, figures.", same_result=True
    )
    seed: int = _flag(0, "Seeds initial weights, shuffling and augmentation.")
    deterministic: bool = _flag(
        True,
        "Same seed, same flags, same shards: same weights, bit for bit on a CPU; slower on "
        "a GPU. A TPU is deterministic as it is.",
    )
    steps_per_loop: int = _flag(100, "Training steps per call from the host.", same_result=True)
    eval_every_epochs: float = _flag(
        1.0, "Validate, and keep the best weights, each so many epochs."
    )
    eval_batch_size: int = _flag(
        0, "Images per evaluation step; 0 = global_batch_size.", same_result=True
    )
    checkpoint_every_steps: int = _flag(
        0, "Steps between checkpoints; 0 = at each validation.", same_result=True
    )
    keep_checkpoints: int = _flag(3, "Rolling checkpoints kept.", same_result=True)
    stop_after_steps: int = _flag(
        0,
        "End the session, resumably, at this step (a rehearsal, a time slot); 0 = never.",
        same_result=True,
    )
    profile_steps: tuple[int, ...] = _flag(
        (),
        "FIRST,LAST: trace these steps, both counted, into model_dir for TensorBoard's profiler.",
        same_result=True,
    )
    allow_flag_changes: bool = _flag(
        False, "Resume although flags changed since the run began.", same_result=True
    )

    on_bad_record: str = _flag(
        "fail",
        "A training record that cannot be read, met in the middle of a run: `fail` = end, naming "
        "it; `skip` = go on from the newest checkpoint without all such records of the split, "
        "listed in bad_records.json (at most 10 %).",
        ("fail", "skip"),
        same_result=True,
    )
    stall_timeout_seconds: float = _flag(
        300.0,
        "Report steps that take longer, with shards that do not answer; 0 = never.",
        same_result=True,
    )
    save_patience_seconds: float = _flag(
        600.0,
        "Where a checkpoint or log cannot be written (full disk), wait and try again so long "
        "before the run ends.",
        same_result=True,
    )
    preemption_notice: str = _flag(
        "auto",
        "`auto` = on Google Compute Engine, save and end when the machine is about to be taken "
        "away; `none` = on signals only.",
        ("auto", "none"),
        same_result=True,
    )

    # --- hardware
    tpu: str = _flag(
        "",
        "`local` on a TPU VM, a TPU's name, or grpc://ip:8470. Empty: all local GPUs, or the CPU.",
        same_result=True,
    )
    tpu_zone: str = _flag("", "Zone of a TPU given by name.", same_result=True)
    gcp_project: str = _flag("", "Project of a TPU given by name.", same_result=True)
    cpu_devices: int = _flag(
        1, "Logical CPU devices that share a batch, for tests.", same_result=True
    )

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value, choices = getattr(self, field.name), field.metadata["choices"]
            if choices and value not in choices:
                raise ValueError(
                    f"--{field.name} must be one of {', '.join(choices)}. Received: {value!r}."
                )
        # Written so that NaN fails, too.
        for names_, holds, words in (
            (POSITIVE, lambda x: x > 0, "positive"),
            (NOT_NEGATIVE, lambda x: x >= 0, "not negative"),
            (BELOW_1, lambda x: 0 <= x < 1, "at least 0 and below 1"),
            (AT_MOST_1, lambda x: 0 < x <= 1, "above 0 and at most 1"),
        ):
            for name in names_:
                value = getattr(self, name)
                if not (holds(value) and value < float("inf")):
                    raise ValueError(f"--{name} must be {words}. Received: {value}.")
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


def names() -> list[str]:
    """Names of all fields, which are the names of the flags."""
    return [field.name for field in dataclasses.fields(Config)]


def define_flags(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Declares one absl flag per field of Config."""
    for field in dataclasses.fields(Config):
        default = _default(field)
        arguments = dict(
            name=field.name, default=default, help=field.metadata["help"], flag_values=flag_values
        )
        if field.metadata["choices"]:
            flags.DEFINE_enum(enum_values=list(field.metadata["choices"]), **arguments)
        elif isinstance(default, bool):
            flags.DEFINE_bool(**arguments)
        elif isinstance(default, int):
            flags.DEFINE_integer(**arguments)
        elif isinstance(default, float):
            flags.DEFINE_float(**arguments)
        elif isinstance(default, tuple):
            arguments["default"] = [str(item) for item in default]
            flags.DEFINE_list(**arguments)
        else:
            flags.DEFINE_string(**arguments)


def from_flags(flag_values: flags.FlagValues = flags.FLAGS) -> Config:
    """The Config that the parsed flags describe; ValueError names a flag that is out of range."""
    values = {}
    for field in dataclasses.fields(Config):
        value = getattr(flag_values, field.name)
        values[field.name] = _numbers(field, value) if isinstance(value, list) else value
    return Config(**values)


def to_flagfile(config: Config) -> str:
    """All of `config`, one `--name=value` a line: a flagfile."""
    lines = []
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, tuple):
            value = ",".join(str(item) for item in value)
        elif isinstance(value, bool):
            value = str(value).lower()
        lines.append(f"--{field.name}={value}")
    return "\n".join(lines) + "\n"


def from_arguments(arguments: Sequence[str], origin: str) -> Config:
    """The Config that `arguments` (`--name=value` each, `--flagfile=` too) describe by themselves.

    Args:
        arguments: as on a command line; flags that are not among them take their defaults.
        origin: where they are from, for the error message.

    Raises:
        ValueError: a flag that does not exist, or a value out of range.
    """
    flag_values = flags.FlagValues()
    define_flags(flag_values)
    flags.DEFINE_string("flagfile", "", "", flag_values=flag_values)
    flags.DEFINE_string("undefok", "", "", flag_values=flag_values)
    try:
        words = flag_values(["", *arguments])[1:]
    except flags.Error as error:
        raise ValueError(f"{origin}: {error}") from error
    stray = [word for word in words if word.strip() and not word.startswith(("#", "//"))]
    if stray:
        raise ValueError(f"{origin}: {' '.join(stray)!r} is no flag; write --name=value.")
    return from_flags(flag_values)


def changed_flags(old: Config, new: Config) -> dict[str, tuple[Any, Any]]:
    """Flags that differ and change a run's result: {name: (old value, new value)}."""
    return {
        field.name: (getattr(old, field.name), getattr(new, field.name))
        for field in dataclasses.fields(Config)
        if not field.metadata["same_result"]
        and getattr(old, field.name) != getattr(new, field.name)
    }


def _default(field):
    if field.default is not dataclasses.MISSING:
        return field.default
    return field.default_factory()


def _numbers(field, items):
    """A list flag's items as a tuple of the field's numbers."""
    kind = float if "float" in str(field.type) else int
    try:
        return tuple(kind(item) for item in items if str(item).strip())
    except ValueError as error:
        raise ValueError(
            f"--{field.name} must be a comma-separated list of numbers. Received: {items}."
        ) from error
