"""Parses a command line; or prints help, or a mistake in one line, and ends the process."""

import os
import re
import sys
from typing import NoReturn

from absl import flags

from gala_tf.command_line import flagfiles, help_page


def parse(arguments: list[str], doc: str, more: str, positional: str) -> list[str]:
    """Parses `flags.FLAGS` and returns the program's name; the rest as for `command.run`."""
    program, *words = arguments
    for word in words[: words.index("--")] if "--" in words else words:
        if word in ("-h", "-help", "--help", "--helpshort", "-helpfull", "--helpfull"):
            print(help_page.page(doc, flags.FLAGS, more, full=word.endswith("full")), end="")
            sys.exit(0)
    flags.FLAGS.set_gnu_getopt()  # an argument without a name may stand before flags
    try:
        stray = flags.FLAGS([program, *flagfiles.expand(words)])[1:]
    except flags.UnrecognizedFlagError as error:
        hint = help_page.nearest(error.flagname, flags.FLAGS, "--")
        refuse(f"there is no flag --{error.flagname}{hint}")
    except (flags.Error, ValueError) as error:
        missing = re.match(r"flag --(\w+)=None: .*other than None", str(error))
        refuse(f"--{missing[1]} is missing" if missing else _plain(" ".join(str(error).split())))
    if positional and isinstance(flags.FLAGS[positional].value, list):  # takes any number
        flags.FLAGS[positional].value += stray
        stray = []
    if positional and len(stray) == 1 and not flags.FLAGS[positional].present:
        flags.FLAGS[positional].parse(stray.pop())
        flags.FLAGS[positional].using_default_value = False
    if stray and stray[0].startswith(("–", "—", "−")):
        refuse(f"{stray[0]} begins with a long dash, as text programs make of two: write --")
    if stray:
        refuse(f"unexpected arguments: {' '.join(stray)}; write --name=value")
    try:
        _read_paths(flags.FLAGS)
    except ValueError as error:
        refuse(str(error))
    return [program]


def _plain(message):
    """What Python says of text that is no number, in words."""
    message = re.sub(r"\('Non-boolean argument .*", "it must be true or false", message)
    message = re.sub(r"invalid literal for int\(\) .*", "it must be a whole number", message)
    return re.sub(r"could not convert string to float.*", "it must be a number, as 0.5", message)


def _read_paths(flag_values):
    """Replaces the values of flags that name paths by what they name (`path_of_user`)."""
    for name in flag_values:
        flag = flag_values[name]
        if not getattr(flag, "is_path", False) or not flag.value:
            continue
        if isinstance(flag.value, list):
            flag.value = [path_of_user(text, name) for text in flag.value]
        else:
            flag.value = path_of_user(flag.value, name)


def path_of_user(text: str, flag: str) -> str:
    """The path that a flag's value names, with the home directory in place of `~`.

    A shell replaces `~` only where a word begins with it: `--output_dir=~/out` arrives as it is.

    ValueError: no path, a flagfile or TensorFlow could not hold it; or `~name` of nobody.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"--{flag}={text} is not UTF-8, which TensorFlow's files need. Rename it."
        ) from error
    # str.splitlines breaks at more than "\n", and so would a flagfile.
    if text != text.strip() or len(text.splitlines()) > 1 or "\0" in text:
        raise ValueError(
            f"--{flag}={text!r}: a path must be without line breaks, and without spaces at its "
            "ends: flagfiles cannot hold it. Rename it."
        )
    expanded = os.path.expanduser(text)
    if expanded.startswith("~"):
        raise ValueError(
            f"--{flag}={text}: there is no user {text[1:].partition('/')[0]!r}. For a name that "
            f"begins with ~ write ./{text}"
        )
    return expanded


def flag_of(path: str, flag_values: flags.FlagValues = flags.FLAGS) -> str:
    """The flag, as "--name=value", that names a file or a folder around it; empty if none does."""
    found: dict[str, str] = {}  # place -> flag
    written = os.path.abspath(path.removesuffix(".writing"))  # `data.files.write`
    for name in flag_values:
        value = flag_values[name].value if getattr(flag_values[name], "is_path", False) else None
        for text in value if isinstance(value, list) else [value]:
            place = os.path.abspath(text) if text else ""
            if place and f"{written}/".startswith(f"{place.rstrip('/')}/"):
                found[place] = f"--{name}={text}"
    return found[max(found, key=len)] if found else ""


def refuse(message: str) -> NoReturn:
    """Ends the process with one line and a hint."""
    printable = message.encode(errors="backslashreplace").decode()
    sys.exit(f"error: {printable} (--help lists the flags)")
