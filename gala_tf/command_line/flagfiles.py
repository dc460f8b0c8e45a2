"""Flagfiles: a flag a line; a file may include others, by paths relative to itself.

absl, which reads flagfiles too, takes a nested path as relative to the working directory, so that
experiments would run from one directory only.
"""

import os
from collections.abc import Sequence

_DIRECTIVES = ("--flagfile=", "-flagfile=")


def expand(arguments: Sequence[str]) -> list[str]:
    """The arguments with each `--flagfile=FILE` replaced by the flags in it.

    ValueError: a file is missing, or includes itself.
    """
    expanded, words = [], iter(arguments)
    for word in words:
        if word == "--":
            return [*expanded, word, *words]
        if word in ("--flagfile", "-flagfile"):  # the name in a word of its own
            word = f"--flagfile={next(words, '')}"
        if word.startswith(_DIRECTIVES):
            expanded += _read(_name(word), ())
        else:
            expanded.append(word)
    return expanded


def _name(directive):
    return os.path.expanduser(directive.partition("=")[2].strip())


def _read(path, including):
    """The flags of a file; `including` are the files that led to it, outermost first."""
    if not path:
        return []
    if os.path.abspath(path) in including:
        raise ValueError(f"Flagfile {path} includes itself: {' -> '.join((*including, path))}.")
    try:
        with open(path, encoding="utf-8-sig") as file:  # some editors begin UTF-8 with a mark
            lines = [line.strip() for line in file]
    except (OSError, UnicodeDecodeError) as error:
        named_by = f", named in {including[-1]}" if including else ""
        why = getattr(error, "strerror", "") or "it is no UTF-8 text; save it as UTF-8"
        raise ValueError(f"Unable to open flagfile {path}{named_by}: {why}") from error
    found = []
    for line in lines:
        if line.startswith(_DIRECTIVES):
            nested = os.path.join(os.path.dirname(path), _name(line))
            found += _read(nested, (*including, os.path.abspath(path)))
        elif line and not line.startswith(("#", "//")):
            found.append(line)
    return found
