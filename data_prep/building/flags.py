"""The flags of `data_prep.build_tfrecords`: declared; which of them decide the bytes."""

import functools
import importlib.metadata
import textwrap
from dataclasses import dataclass
from dataclasses import fields as _fields

from absl import flags

from data_prep.sources import SOURCES, SourceOptions
from gala_tf import command

# What may differ when a build goes on: finished shards do not depend on it.
_NOT_IN_FINGERPRINT = set(
    "output_dir name overwrite dry_run on_bad_image on_bad_map on_duplicate num_workers runner "
    "beam_options".split()
)
_read = functools.partial(command.flag, group="what to read")
_write = functools.partial(command.flag, group="what to write")
_make = functools.partial(command.flag, group="how to make it")


@dataclass(frozen=True)
class BuildOptions:
    """What every build is told, whatever its source; sources add `SourceOptions`."""

    source: str | None = _read(None, "Where images and maps come from: a name of those above.")
    on_bad_image: str = _read(
        "fail", "What to do about an image that cannot be decoded.", ("fail", "skip")
    )
    on_bad_map: str = _read(
        "fail",
        "What to do about a map that cannot be used; `skip` keeps its image, without a map.",
        ("fail", "skip"),
    )
    on_duplicate: str = _read(
        "error",
        "What to do about the same picture in two splits; `drop` takes training's away.",
        ("error", "drop"),
    )

    output_dir: str | None = _write(None, "Where the data set goes (local or gs://).", path=True)
    name: str = _write("", "Name of the data set; default: the source's.")
    overwrite: bool = _write(False, "Replace a data set in --output_dir.")
    num_shards: int = _write(
        8,
        "Files of the train split. At least one for each host that reads, and 100 to 200 MB each "
        "for large sets (1024 for ILSVRC12).",
    )
    num_eval_shards: int = _write(8, "Files of each other split.")
    image_storage: str = _write(
        "original",
        "Keep images as they came, or their central square of --square_size. Square images are "
        "read several times faster.",
        ("original", "square"),
    )
    square_size: int = _write(256, "Side of `square` images, pixels (paper).")
    clickmap_blur: str = _write(
        "",
        "Blur of the maps made ready for training: box:K, gaussian:K,SIGMA, disc:K or none. In "
        "pixels of the stored image; unblurred counts are kept as well. Default: "
        + ", ".join(f"{entry.clickmap_blur} ({name})" for name, entry in SOURCES.items())
        + ".",
    )
    clickmap_grid: int = _write(64, "Side of the maps made ready for training.")

    dry_run: bool = _make(
        False,
        "Read and check everything, name all that is wrong or left out, and write nothing. Exit "
        "status 1 if the build would fail.",
    )
    num_workers: int = _make(1, "Processes, a shard each; the bytes do not depend on it.")
    runner: str = _make(
        "local",
        "`local`, or an Apache Beam runner: Direct-, Dataflow-, Spark- or FlinkRunner. Needs the "
        "extra [beam]; --input_dir and --output_dir must be reachable from its machines.",
    )
    beam_options: list[str] = _make([], "An option for the Beam runner, such as --project=mine.")


def define(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Declares them; a function, since training has flags of equal names."""
    command.define_flags(BuildOptions, flag_values)
    command.define_flags(SourceOptions, flag_values)
    for field in _fields(SourceOptions):
        readers = [name for name, entry in SOURCES.items() if field.name in entry.reads]
        flag = flag_values[field.name]
        if len(readers) == 1:
            flag.group = f"only for --source={readers[0]}"
        if len(readers) > 1:
            flag.group = "several sources"
            flag.help += f" (read by {', '.join(readers)})"


def sources_text() -> str:
    """The sources, for --help."""
    lines = [
        textwrap.fill(f"{name:<23}{entry.summary}", 78, subsequent_indent=" " * 23)
        for name, entry in SOURCES.items()
    ]
    return "Sources:\n" + textwrap.indent("\n".join(lines), "  ")


def blur(flag_values: flags.FlagValues) -> str:
    """The blur asked for; else the one that suits the source of the maps."""
    source_of_maps = flag_values.maps_source or flag_values.source
    return flag_values.clickmap_blur or SOURCES[source_of_maps].clickmap_blur


def fingerprint(flag_values: flags.FlagValues) -> dict:
    """All that decides the bytes of the shards."""
    names = {field.name for kind in (BuildOptions, SourceOptions) for field in _fields(kind)}
    found = {name: flag_values[name].value for name in sorted(names - _NOT_IN_FINGERPRINT)}
    return found | {"clickmap_blur": blur(flag_values), "tool_version": tool_version()}


def tool_version() -> str:
    """Name and version of every library that decides the bytes."""
    builds = "gala_tf tensorflow tensorflow-cpu tensorflow-tpu pillow numpy scipy scikit-image"
    found = []
    for name in builds.split():
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue  # run from a checkout, or another build of TensorFlow
    return ", ".join(found)
