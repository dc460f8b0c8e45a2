"""Parses a command line; or prints help, or a mistake in one line, and ends the process."""

import re
import sys
from typing import NoReturn

from absl import flags

from gala_tf.command_line import flagfiles, help_page, path_names


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
        refuse(f"--{missing[1]} is missing" if missing else " ".join(str(error).split()))
    if positional and isinstance(flags.FLAGS[positional].value, list):  # takes any number
        flags.FLAGS[positional].value += stray
        stray = []
    if positional and len(stray) == 1 and not flags.FLAGS[positional].present:
        flags.FLAGS[positional].parse(stray.pop())
        flags.FLAGS[positional].using_default_value = False
    if stray:
        refuse(f"unexpected arguments: {' '.join(stray)}; write --name=value")
    try:
        _read_paths(flags.FLAGS)
    except ValueError as error:
        refuse(str(error))
    return [program]


def _read_paths(flag_values):
    """Replaces the values of flags that name paths by what they name (`path_names.of_user`)."""
    for name in flag_values:
        flag = flag_values[name]
        if not getattr(flag, "is_path", False) or not flag.value:
            continue
        if isinstance(flag.value, list):
            flag.value = [path_names.of_user(text, name) for text in flag.value]
        else:
            flag.value = path_names.of_user(flag.value, name)


def refuse(message: str) -> NoReturn:
    """Ends the process with one line and a hint."""
    printable = message.encode(errors="backslashreplace").decode()
    sys.exit(f"error: {printable} (--help lists the flags)")
