"""Parses a command line; or prints help, or a mistake in one line, and ends the process."""

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
        refuse(f"--{missing[1]} is missing" if missing else " ".join(str(error).split()))
    if positional and len(stray) == 1 and not flags.FLAGS[positional].present:
        flags.FLAGS[positional].parse(stray.pop())
        flags.FLAGS[positional].using_default_value = False
    if stray:
        refuse(f"unexpected arguments: {' '.join(stray)}; write --name=value")
    return [program]


def refuse(message: str) -> NoReturn:
    """Ends the process with one line and a hint."""
    sys.exit(f"error: {message} (--help lists the flags)")
