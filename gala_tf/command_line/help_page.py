"""The page that --help prints: what a command does, examples, and its flags by group."""

import difflib
import re
import textwrap
from collections.abc import Collection

from absl import flags

WIDTH = 80
_LINES = 2  # of a flag, in the short page
_ALWAYS = """\
  --flagfile=FILE  Flags from a file, one a line; it may name further files.
  --verbosity=1  Where an error comes from, and all that TensorFlow says.
"""


def page(doc: str, flag_values: flags.FlagValues, more: str = "", full: bool = False) -> str:
    """The whole text.

    Args:
        doc: the command's docstring; the short page has its first line and its examples.
        full: all paragraphs of it, all flags, and their whole help texts.
    """
    own = own_flags(flag_values)
    listed = [flag for flag in own if full or getattr(flag, "shown", True)]
    parts = [description(doc, full), *([more] if more else [])]
    by_group: dict[str, list[str]] = {"": []}  # the command's own flags come first
    for flag in listed:
        by_group.setdefault(getattr(flag, "group", ""), []).append(entry(flag, full))
    for group, lines in by_group.items():
        if not lines:
            continue
        title = group[:1].upper() + group[1:] if group else "Flags"
        parts.append("\n".join([f"{title}:", *lines]))
    parts.append("All commands:\n" + _ALWAYS.rstrip())
    hidden = len(own) - len(listed)
    if not full:
        rest = f"{hidden} more flags, and all of every text" if hidden else "All of every text"
        parts.append(
            f"--name=value shows a default; of choices (a|b|c) it is the first.\n{rest}: --helpfull"
        )
    return "\n\n".join(parts) + "\n"


def overview(doc: str, summaries: dict[str, str], naming: str) -> str:
    """What there is to choose from, a line each: a name and the gist of its docstring.

    `naming`: how one is called, as `python -m gala_tf.NAME`.
    """
    width = max(map(len, summaries)) + 2
    lines = [
        f"  {name:<{width}}{_gist(text.strip().partition(chr(10))[0], WIDTH - 2 - width)}"
        for name, text in summaries.items()
    ]
    return "\n".join([description(doc), "", *lines, "", f"{naming} --help says more."]) + "\n"


def _gist(sentence, width):
    """As much of a sentence as fits, up to a colon or a comma."""
    while len(sentence) > width and (parts := re.split(r"[:;,] (?!.*[:;,] )", sentence))[1:]:
        sentence = parts[0]
    return textwrap.shorten(sentence.rstrip("."), width, placeholder=" ...")


def nearest(word: str, known: Collection[str], prefix: str = "") -> str:
    """`; did you mean ...?` if one of the known words is much like this one."""
    close = difflib.get_close_matches(word, list(known), n=1) or [
        name for name in known if len(word) > 2 and name.startswith(word)
    ]
    return f"; did you mean {prefix}{close[0]}?" if close else ""


def description(doc: str, full: bool = False) -> str:
    """The docstring's first line and first examples, or all of it, at most 80 columns wide."""
    paragraphs = re.split(r"\n\s*\n", textwrap.dedent(_first_line_aside(doc)).strip("\n"))
    examples = [block for block in paragraphs if _is_example(block)]
    chosen = paragraphs if full else [paragraphs[0], *examples[:1]]
    return "\n\n".join(map(_rewrap, chosen))


def _first_line_aside(doc):
    """A docstring whose later lines are indented as code is, without that indentation."""
    first, _, rest = doc.strip().partition("\n")
    return f"{first}\n{textwrap.dedent(rest)}"


def _is_example(block):
    # A function's docstring of one line and examples has lost their indentation.
    return block.startswith(("    ", "python "))


def _rewrap(block):
    if not _is_example(block):
        return textwrap.fill(" ".join(block.split()), WIDTH, break_on_hyphens=False)
    lines = re.sub(r"\s*\\\n\s*", " ", textwrap.indent(textwrap.dedent(block), "    ")).split("\n")
    return "\n".join(
        _command(line.strip()) if len(line) > WIDTH - 2 else line[2:] for line in lines
    )


def _command(line):
    """A command, cut into lines that a shell joins."""
    indent = {"initial_indent": "  ", "subsequent_indent": "      "}
    return " \\\n".join(
        textwrap.wrap(line, WIDTH - 2, break_long_words=False, break_on_hyphens=False, **indent)
    )


def own_flags(flag_values: flags.FlagValues) -> list[flags.Flag]:
    """All flags but those of absl, which every command has, as they were declared."""
    by_module = flag_values.flags_by_module_dict()
    return [
        flag
        for module, declared in by_module.items()
        if not module.startswith("absl")
        for flag in declared
        if flag.name in flag_values
    ]


def entry(flag: flags.Flag, full: bool = False) -> str:
    """`--name=default  help`, in two lines; with `full` in as many as it takes."""
    name, text = label(flag), _help(flag)
    if len(name) > WIDTH - 2:  # choices without end: as words, which can be wrapped
        name, _, choices = name.partition("=")
        text = f"{text} One of {choices.replace('|', ', ').removeprefix(', ')}."
    texts = [text] if full else _shorter_and_shorter(text)
    for text in texts:
        lines = textwrap.wrap(
            f"{name}  {text}",
            WIDTH,
            initial_indent="  ",
            subsequent_indent="      ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        if full or len(lines) <= _LINES:
            break
    return "\n".join(lines)


def _shorter_and_shorter(text):
    """A help text, and what is left of it cut after a sentence or before a semicolon."""
    ends = [m.end() for m in re.finditer(r"\.(?= )|(?=; )", text)]
    outside = [end for end in ends if text.count("(", 0, end) == text.count(")", 0, end)]
    return [text, *(text[:end] for end in reversed(outside))]


def label(flag: flags.Flag) -> str:
    """`--name=default`, or `--name=default|other|another`; a bare name has no default."""
    default = flag.default
    if isinstance(default, bool):
        text = str(default).lower()
    elif isinstance(default, list):
        text = ",".join(map(str, default))
    else:
        text = "" if default is None else str(default)
    choices = getattr(flag.parser, "enum_values", None) or []
    if choices:
        # A flag without a default takes any; where "" is the default, nothing stands first.
        first = [] if default is None else [text]
        text = "|".join([*first, *(choice for choice in choices if choice not in first)])
    required = any("other than None" in validator.message for validator in flag.validators)
    return f"--{flag.name}" + (f"={text}" if text else "") + (" (required)" if required else "")


def _help(flag):
    # absl adds an enum's choices, which the label has, and how a flag is repeated.
    text = " ".join((flag.help or "").split())
    return re.sub(r"^<[^>]*>: |; repeat this option to specify a list of values$", "", text)
