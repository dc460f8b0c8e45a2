"""The flags of `data_prep.build_tfrecords`: declared, checked; which of them decide the bytes."""

import dataclasses
import importlib.metadata

from absl import flags

from data_prep.sources import SOURCES, SourceOptions

# What may differ when a build goes on: finished shards do not depend on it.
_NOT_IN_FINGERPRINT = {
    "output_dir",
    "name",
    "overwrite",
    "on_bad_image",
    "on_duplicate",
    "num_workers",
    "runner",
    "beam_options",
}


def define(flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Declares them; a function, since training has flags of equal names."""
    fv = {"flag_values": flag_values}
    # What to read.
    flags.DEFINE_string(
        "source",
        None,
        "Where images and maps come from: "
        + "; ".join(f"{name} = {entry.summary}" for name, entry in SOURCES.items())
        + ".",
        **fv,
    )
    for field in dataclasses.fields(SourceOptions):
        _define_option(field, fv)
    flags.DEFINE_enum(
        "on_bad_image",
        "fail",
        ["fail", "skip"],
        "What to do about an image that cannot be decoded.",
        **fv,
    )
    flags.DEFINE_enum(
        "on_duplicate",
        "error",
        ["error", "drop"],
        "What to do about the same picture in two splits; `drop` takes training's away.",
        **fv,
    )
    # What to write.
    flags.DEFINE_string("output_dir", None, "Where the data set goes (local or gs://).", **fv)
    flags.DEFINE_string("name", "", "Name of the data set; default: the source's.", **fv)
    flags.DEFINE_bool("overwrite", False, "Replace a data set in --output_dir.", **fv)
    flags.DEFINE_integer(
        "num_shards",
        8,
        "Files of the train split: at least one for each host that reads, and "
        "100 to 200 MB each for large sets (1024 for ILSVRC12).",
        **fv,
    )
    flags.DEFINE_integer("num_eval_shards", 8, "Files of each other split.", **fv)
    flags.DEFINE_enum(
        "image_storage",
        "original",
        ["original", "square"],
        "Keep images as they came, or their central square of --square_size. Square images are "
        "read several times faster.",
        **fv,
    )
    flags.DEFINE_integer("square_size", 256, "Side of `square` images, pixels (paper).", **fv)
    flags.DEFINE_string(
        "clickmap_blur",
        "",
        "Blur of the maps made ready for training, pixels of the stored "
        "image: box:K, gaussian:K,SIGMA, disc:K or none. Unblurred counts are kept as well. "
        "Default: " + ", ".join(f"{e.clickmap_blur} ({name})" for name, e in SOURCES.items()) + ".",
        **fv,
    )
    flags.DEFINE_integer("clickmap_grid", 64, "Side of the maps made ready for training.", **fv)
    # How to make it.
    flags.DEFINE_integer(
        "num_workers", 1, "Processes, a shard each; the bytes do not depend on it.", **fv
    )
    flags.DEFINE_string(
        "runner",
        "local",
        "`local`, or an Apache Beam runner (DirectRunner, DataflowRunner, SparkRunner, "
        "FlinkRunner; needs the extra [beam]). --input_dir and --output_dir must then be reachable "
        "from its machines.",
        **fv,
    )
    flags.DEFINE_multi_string(
        "beam_options", [], "An option for the Beam runner, such as --project=mine.", **fv
    )


def _define_option(field, fv):
    """The flag of one field of SourceOptions, by the type of its default."""
    readers = ", ".join(name for name, entry in SOURCES.items() if field.name in entry.reads)
    help_text = field.metadata["help"] + (f" (read by {readers})" if readers else "")
    if field.metadata["choices"]:
        choices = list(field.metadata["choices"])
        flags.DEFINE_enum(field.name, field.default, choices, help_text, **fv)
    elif isinstance(field.default, tuple):
        flags.DEFINE_list(field.name, [str(part) for part in field.default], help_text, **fv)
    else:
        define = {
            bool: flags.DEFINE_bool,
            int: flags.DEFINE_integer,
            float: flags.DEFINE_float,
            str: flags.DEFINE_string,
        }[type(field.default)]
        define(field.name, field.default, help_text, **fv)


def check(flag_values: flags.FlagValues) -> None:
    """Errors that need no data; ValueError names flag, expectation, value and remedy."""
    from data_prep.merging import merge
    from gala_tf.data import clickmaps

    name = flag_values.source
    if name not in SOURCES:
        raise ValueError(f"--source={name!r} is unknown; known sources: {', '.join(SOURCES)}.")
    if not flag_values.output_dir:
        raise ValueError("--output_dir is missing: say where the data set goes.")
    reads = merge.options_read(name, flag_values.maps_source)
    if "input_dir" in reads and not flag_values.input_dir:
        raise ValueError(f"--source={name} reads files: give their --input_dir.")
    for field in dataclasses.fields(SourceOptions):
        flag = field.name
        if flag_values[flag].present and flag not in reads and flag != "seed":
            users = [n for n in SOURCES if flag in merge.options_read(n, flag_values.maps_source)]
            raise ValueError(
                f"--{flag} means nothing to --source={name}; it is read by {', '.join(users)}. "
                "Leave it out."
            )
    for flag in ("num_shards", "num_eval_shards", "square_size", "clickmap_grid", "num_workers"):
        if flag_values[flag].value < 1:
            raise ValueError(f"--{flag} must be at least 1, got {flag_values[flag].value}.")
    if flag_values.beam_options and flag_values.runner == "local":
        raise ValueError("--beam_options means nothing to --runner=local. Name a Beam runner.")
    clickmaps.parse_blur(blur(flag_values))


def source_options(flag_values: flags.FlagValues) -> SourceOptions:
    """The options of sources, as the flags give them."""
    values = {}
    for field in dataclasses.fields(SourceOptions):
        value = flag_values[field.name].value
        if isinstance(field.default, tuple):
            value = _numbers(field.name, value)
        values[field.name] = value
    return SourceOptions(**values)


def _numbers(flag, words):
    try:
        return tuple(float(word) for word in words)
    except ValueError:
        raise ValueError(
            f"--{flag} must be numbers, got {words}. Write them as --{flag}=8,1,1."
        ) from None


def blur(flag_values: flags.FlagValues) -> str:
    """The blur asked for; else the one that suits the source of the maps."""
    source_of_maps = flag_values.maps_source or flag_values.source
    return flag_values.clickmap_blur or SOURCES[source_of_maps].clickmap_blur


def fingerprint(flag_values: flags.FlagValues) -> dict:
    """All that decides the bytes of the shards."""
    declared = flags.FlagValues()
    define(declared)
    found = {name: flag_values[name].value for name in sorted(set(declared) - _NOT_IN_FINGERPRINT)}
    return found | {"clickmap_blur": blur(flag_values), "tool_version": tool_version()}


def tool_version() -> str:
    """Name and version of every library that decides the bytes."""
    names = (
        "gala_tf",
        "tensorflow",
        "tensorflow-cpu",
        "tensorflow-tpu",
        "pillow",
        "numpy",
        "scipy",
        "scikit-image",
    )
    found = []
    for name in names:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            continue  # run from a checkout, or another build of TensorFlow
    return ", ".join(found)
