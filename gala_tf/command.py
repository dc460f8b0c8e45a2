"""What all commands share: flags declared from a dataclass, how they start, and how they fail.

    @dataclasses.dataclass(frozen=True)
    class Options:
        model_dir: str = command.flag("", "Run directory, from gala_tf.train.")

    def main():
        options = command.from_flags(Options)

    if __name__ == "__main__":
        command.define_flags(Options)
        command.run(main)

A command of several, as `python -m PROGRAM serve --port=80`, is `run_one_of`'s.
"""

import ast
import dataclasses
import re
import sys
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from absl import app, flags, logging

from gala_tf.command_line import (
    endings,
    flagfiles,
    help_page,
    installation,
    kernels,
    parsing,
    quiet,
)


class Range(NamedTuple):
    """The numbers that a flag may take; infinity and NaN are in none."""

    words: str
    holds: Callable[[float], bool]


POSITIVE = Range("positive", lambda x: x > 0)
NOT_NEGATIVE = Range("not negative", lambda x: x >= 0)
SEED = Range("from 0 to 4294967295", lambda x: 0 <= x < 2**32)  # what NumPy takes
AT_MOST_1 = Range("above 0 and at most 1", lambda x: 0 < x <= 1)


def flag(
    default: Any,
    help: str,
    choices: Collection[str] = (),
    *,
    group: str = "",
    shown: bool = True,
    within: Range | None = None,
    path: bool = False,
    **more: Any,
) -> Any:
    """A dataclass' field that becomes the flag of its name.

    Args:
        default: `dataclasses.MISSING` for a flag that must be given.
        help: the first sentence has the gist: --help shows what fits into two lines.
        choices: all values it may take.
        group: the title that --help lists it under.
        shown: False to list it in --helpfull only.
        within: `check` holds a number against it.
        path: it names a file or a directory: `~` is understood, and what cannot be a path refused.
        more: further metadata of the field, for its own dataclass.
    """
    about = {"help": help, "choices": tuple(choices), "group": group, "shown": shown}
    metadata = {**about, "within": within, "path": path, **more}
    if isinstance(default, list):  # a field's default must not be shared
        return dataclasses.field(default_factory=lambda: list(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


_DEFINE = {
    bool: flags.DEFINE_bool,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
    tuple: flags.DEFINE_list,  # commas between
    list: flags.DEFINE_multi_string,  # may be given several times
}


def define_flags(
    kind: type,
    flag_values: flags.FlagValues = flags.FLAGS,
    *,
    shown: Collection[str] | None = None,
    but: Collection[str] = (),
) -> None:
    """Declares one flag for each field of the dataclass `kind`, by the field's type.

    Args:
        shown: names that --help lists, in place of those that the fields say.
        but: names to leave out, since they are declared already.
    """
    for field in dataclasses.fields(kind):
        if field.name in but:
            continue
        about = field.metadata
        named = {"help": about["help"], "flag_values": flag_values}
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        if default is dataclasses.MISSING:
            default, named["required"] = None, True
        form = _form(field)
        if form is tuple:
            default = [str(item) for item in default]
        if about.get("choices") and form is str:
            flags.DEFINE_enum(field.name, default, list(about["choices"]), **named)
        else:
            _DEFINE[form](field.name, default, **named)
        declared = flag_values[field.name]
        declared.group = about.get("group", "")  # read by `help_page`
        declared.shown = about.get("shown", True) if shown is None else field.name in shown
        declared.is_path = about.get("path", False)  # read by `_read_paths`


def are_paths(*names: str, flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Says of flags that were declared by hand that they name files or directories."""
    for name in names:
        flag_values[name].is_path = True


def paths(options: Any) -> list[str]:
    """Names of the fields that name a file or a directory."""
    return [field.name for field in dataclasses.fields(options) if field.metadata.get("path")]


def from_flags(kind: type, flag_values: flags.FlagValues = flags.FLAGS) -> Any:
    """The dataclass `kind` that the parsed flags describe; ValueError names a wrong flag."""
    values = {}
    for field in dataclasses.fields(kind):
        value = flag_values[field.name].value
        values[field.name] = _items(field, value) if _form(field) is tuple else value
    return kind(**values)


def from_arguments(kind: type, arguments: Sequence[str], origin: str) -> Any:
    """The dataclass that `arguments` (`--name=value` each, `--flagfile=` too) describe alone.

    `arguments`: as on a command line; flags that are not among them take their defaults.

    ValueError: a flag that does not exist, or a value out of range.
    """
    flag_values = flags.FlagValues()
    define_flags(kind, flag_values)
    flags.DEFINE_string("undefok", "", "", flag_values=flag_values)
    try:
        words = flag_values(["", *flagfiles.expand(arguments)])[1:]
    except (flags.Error, ValueError) as error:
        raise ValueError(f"{origin}: {error}") from error
    stray = [word for word in words if word.strip() and not word.startswith(("#", "//"))]
    if stray:
        raise ValueError(f"{origin}: {' '.join(stray)!r} is no flag; write --name=value.")
    return from_flags(kind, flag_values)


def to_flagfile(options: Any) -> str:
    """All fields of a dataclass, one `--name=value` a line: a flagfile."""
    lines = []
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        if isinstance(value, tuple):
            value = ",".join(str(item) for item in value)
        elif isinstance(value, bool):
            value = str(value).lower()
        lines.append(f"--{field.name}={value}")
    return "\n".join(lines) + "\n"


def check(options: Any) -> None:
    """ValueError if a field is none of its choices, or outside of its range."""
    for field in dataclasses.fields(options):
        value = getattr(options, field.name)
        choices, allowed = field.metadata["choices"], field.metadata["within"]
        values = value if isinstance(value, tuple) else (value,)
        if choices and not (values and set(values) <= set(choices)):
            raise ValueError(
                f"--{field.name} must be one of {', '.join(choices)}. Received: {value!r}."
            )
        # Written so that NaN fails, too.
        if allowed and not (allowed.holds(value) and value < float("inf")):
            raise ValueError(f"--{field.name} must be {allowed.words}. Received: {value}.")


def _form(field):
    """The key of _DEFINE: tuple of tuple[int, ...], str of `str | None`."""
    form = typing.get_origin(field.type) or field.type
    return typing.get_args(field.type)[0] if form is types.UnionType else form


def _items(field, words):
    """A list flag's words as the field's type of items."""
    kind = typing.get_args(field.type)[0]
    try:
        return tuple(kind(word) for word in words if str(word).strip())
    except ValueError as error:
        raise ValueError(
            f"--{field.name} must be a comma-separated list of numbers. Received: {words}."
        ) from error


def run(
    main: Callable[[], Any],
    errors: tuple[type[Exception], ...] = (ValueError,),
    *,
    tensorflow: bool = True,
    positional: str = "",
    doc: str = "",
    more: str = "",
    kept: str = "",
) -> None:
    """Parses the flags, or prints help, and calls `main`; ends the process.

    Args:
        main: reads `flags.FLAGS`; returns the exit status, None for 0.
        errors: end in one line, their message; `--verbosity=1` shows their traceback, too. So do
            errors of files and directories, whatever their kind (`endings`).
        tensorflow: whether `main` needs it, so that its installation is looked at first.
        positional: the flag that an argument without a name is the value of.
        doc: what --help begins with; by default the docstring of the command's file.
        more: what --help says next, before the flags.
        kept: what Ctrl-C leaves, and how to go on; a sentence, with flags in braces.
    """

    def start(_):
        verbosity = flags.FLAGS["verbosity"]
        if not verbosity.present:
            logging.set_verbosity(logging.WARNING)  # TensorFlow logs through absl, too
        if not verbosity.present or verbosity.value < 1:
            quiet.start()
        kernels.prefer_onednn()

        def filled_in():  # `{flag}` replaced by the flag's value
            return re.sub(r"\{(\w+)\}", lambda match: str(flags.FLAGS[match[1]].value), kept)

        with endings.one_line(errors, filled_in, parsing.flag_of):
            if tensorflow:
                installation.check()
            return main()

    doc = doc or sys.modules["__main__"].__doc__ or ""
    with endings.one_line((), lambda: ""):  # while flags are parsed, help is printed
        app.run(
            start, flags_parser=lambda arguments: parsing.parse(arguments, doc, more, positional)
        )


class Subcommand(NamedTuple):
    """One of several things that a command does: `python -m PROGRAM NAME --flags`."""

    main: Callable[[], Any]  # its docstring is the subcommand's help
    define_flags: Callable[[], None] = lambda: None
    tensorflow: bool = True
    positional: str = ""


def run_one_of(
    subcommands: Mapping[str, Subcommand], errors: tuple[type[Exception], ...] = (ValueError,)
) -> None:
    """Runs the subcommand that the first argument names; without one, lists them."""
    program, *words = sys.argv
    if not words or words[0] in ("-h", "-help", "--help", "--helpfull"):
        module = sys.modules["__main__"]
        texts = {name: one.main.__doc__ or "" for name, one in subcommands.items()}
        naming = f"python -m {module.__spec__.name} NAME" if module.__spec__ else f"{program} NAME"
        print(help_page.overview(module.__doc__ or "", texts, naming), end="")
        sys.exit(0)
    name = words[0]
    if name not in subcommands:
        hint = help_page.nearest(name, subcommands)
        parsing.refuse(f"{name!r} is none of {', '.join(subcommands)}{hint}")
    chosen = subcommands[name]
    chosen.define_flags()
    sys.argv = [program, *words[1:]]
    run(
        chosen.main,
        errors,
        tensorflow=chosen.tensorflow,
        positional=chosen.positional,
        doc=chosen.main.__doc__ or name,
    )


def list_commands(package: str, names: Sequence[str]) -> None:
    """Prints the commands of a package, a line each: `python -m PACKAGE`; ends the process."""
    words = sys.argv[1:]
    if words and words[0] not in ("-h", "-help", "--help", "--helpfull"):
        sys.exit(f"error: write python -m {package}.NAME; without one, the names are listed")
    module = sys.modules["__main__"]
    summaries = {}
    for name in names:  # read, not imported: a list should not load what it lists
        source = Path(module.__file__).with_name(f"{name}.py").read_text()
        summaries[name] = ast.get_docstring(ast.parse(source)) or ""
    naming = f"python -m {package}.NAME"
    print(help_page.overview(module.__doc__ or "", summaries, naming), end="")
    sys.exit(0)
