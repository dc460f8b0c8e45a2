"""The pages' types, written from the server's models: `python tests/browser/wire_types.py`."""

from pathlib import Path

from data_prep.humans.game import messages

TARGET = Path(messages.__file__).parent / "pages" / "wire.js"
HEAD = """\
// Written from data_prep/humans/game/messages.py by tests/browser/wire_types.py; a test compares.
"""
MODELS = ("SessionGiven", "RoundGiven", "Limits", "Started", "BubblesStored", "RoundEnded")
NAMES = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean"}


def text() -> str:
    """The whole file."""
    return HEAD + "".join(_typedef(name) for name in MODELS) + "\nexport {};\n"


def _typedef(name):
    schema = getattr(messages, name).model_json_schema()
    lines = [
        f" * @property {{{_type(field)}}} {key}\n" for key, field in schema["properties"].items()
    ]
    return f"\n/** @typedef {{object}} {name}\n{''.join(lines)} */\n"


def _type(field):
    if "anyOf" in field:
        return " | ".join(_type(one) for one in field["anyOf"])
    if "$ref" in field:
        return field["$ref"].rpartition("/")[2]
    if field["type"] == "array":
        return f"{_type(field['items'])}[]"
    return NAMES.get(field["type"], field["type"])


if __name__ == "__main__":
    TARGET.write_text(text())
