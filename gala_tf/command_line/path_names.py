"""A path as its user wrote it, made into one that every part of a command understands.

A shell replaces `~` only where a word begins with it, so that `--output_dir=~/out` reaches the
program as it is.
"""

import os


def of_user(text: str, flag: str) -> str:
    """The path that a flag's value names, with the home directory in place of `~`.

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
