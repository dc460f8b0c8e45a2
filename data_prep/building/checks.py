"""Errors of a build's flags that need no data."""

import dataclasses

from absl import flags

from data_prep.building import flags as build_flags
from data_prep.merging import merge
from data_prep.sources import SOURCES, SourceOptions
from gala_tf.data import clickmaps


def check(flag_values: flags.FlagValues) -> None:
    """ValueError if a flag is wrong; names flag, expectation, value and remedy."""
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
    try:
        clickmaps.parse_blur(build_flags.blur(flag_values))
    except ValueError as error:
        raise ValueError(f"--clickmap_blur: {error}") from error
