"""What `tpu_check --execute` runs: precision x replicas x maps, on batches that are made up.

b images of a replica's batch, K classes
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np

from gala_tf import config

BATCH = 8  # images a replica, where --batch_per_core does not say


@dataclasses.dataclass(frozen=True)
class Case:
    """One way to run a network's steps."""

    precision: str  # of `Config`
    replicas: int  # 1 or 2: their all-reduces are executed on as many devices of one CPU
    maps: bool  # trained with them; else lambda is 0
    synchronized: bool = False  # batch statistics over all replicas; else each has its own

    @property
    def name(self) -> str:
        """`float32/2/maps/synchronized`."""
        words = [self.precision, str(self.replicas), "maps" if self.maps else "no_maps"]
        return "/".join([*words, "synchronized"] if self.synchronized else words)

    def of(self, run_config: config.Config, batch: int) -> config.Config:
        """A run's flags for this case, with `batch` images a replica."""
        resize = run_config.map_resize
        return dataclasses.replace(
            run_config,
            precision=self.precision,
            map_loss_weight=run_config.map_loss_weight if self.maps else 0.0,
            synchronized_batch_norm=self.synchronized,
            global_batch_size=batch * self.replicas,
            eval_batch_size=batch * self.replicas,
            # `auto` depends on the device, and both programs shall resize alike.
            map_resize="bilinear" if resize == "auto" else resize,
            tpu="",
            cpu_devices=self.replicas,
            jit_compile=False,
        )


CASES = tuple(
    case
    for precision in ("float32", "mixed_bfloat16")
    for case in (
        Case(precision, 1, maps=True),
        Case(precision, 1, maps=False),
        Case(precision, 2, maps=True, synchronized=True),
        Case(precision, 2, maps=False),
    )
)
NAMES = tuple(case.name for case in CASES)


def chosen(names: Sequence[str], run_config: config.Config) -> list[Case]:
    """The cases of those names, or all; without maps only, where the run has none.

    ValueError: no such case, or one with maps of a run without.
    """
    by_name = dict(zip(NAMES, CASES, strict=True))
    possible = {n: c for n, c in by_name.items() if run_config.map_loss_weight or not c.maps}
    unknown = [name for name in names if name not in by_name]
    if unknown:
        raise ValueError(f"--cases={','.join(names)}: there are {', '.join(NAMES)}.")
    impossible = [name for name in names if name not in possible]
    if impossible:
        raise ValueError(
            f"--cases={','.join(impossible)}: --map_loss_weight is 0, and nothing would be learned "
            "from maps. Leave the case away, or give --map_loss_weight."
        )
    return [possible[name] for name in names or possible]


def made_up_batch(specs: Mapping, classes: int, seed: Sequence[int]) -> dict[str, np.ndarray]:
    """A batch that has structure, so that its gradients do: {name of `contracts.Batch`: array}.

    `specs` {name: something with `shape` and `dtype`}. Each image is a pattern of its class and
    noise; each map a bump, except that every fourth image has none.
    """
    rng = np.random.default_rng(seed)
    label = rng.integers(0, classes, specs["label"].shape).astype(np.int32)  # [b]
    images, height, width, _ = specs["image"].shape
    has_clickmap = (np.arange(images) % 4 != 3).astype(np.float32)
    columns = {
        "image": np.stack([_pattern(c, height, width, rng) for c in label]),
        "label": label,
        "clickmap": _bumps(specs["clickmap"].shape, rng) * has_clickmap[:, None, None, None],
        "has_clickmap": has_clickmap,
        "mirrored": rng.integers(0, 2, images).astype(np.float32),
        "image_index": np.arange(images, dtype=np.int32),
        "is_real": np.ones(images, np.float32),
    }
    return {
        name: columns[name].astype(np.dtype(spec.dtype.as_numpy_dtype))
        for name, spec in specs.items()
    }


def _pattern(label, height, width, rng):
    """[H, W, 3]: a coarse picture of the class, and as much noise again."""
    coarse = np.random.default_rng(int(label)).uniform(40, 215, (8, 8, 3))
    rows, columns = (np.arange(side) * 8 // side for side in (height, width))
    noise = rng.normal(0, 40, (height, width, 3))
    return np.clip(coarse[rows][:, columns] + noise, 0, 255)


def _bumps(shape, rng):
    """[b, h, w, 1]: one Gaussian each, somewhere."""
    images, height, width, _ = shape
    y, x = (rng.uniform(0.2, 0.8, (images, 1)) * side for side in (height, width))
    deviation = max(height, width) / 6
    rows = np.exp(-(((np.arange(height) + 0.5 - y) / deviation) ** 2) / 2)  # [b, h]
    columns = np.exp(-(((np.arange(width) + 0.5 - x) / deviation) ** 2) / 2)
    return (rows[:, :, None] * columns[:, None, :])[..., None]
