"""The pages' types, written from the servers' models: `python tests/browser/wire_types.py`."""

from pathlib import Path

from data_prep.humans.game import messages as of_game
from data_prep.humans.psychophysics import messages as of_experiment
from data_prep.humans.studies import messages as of_studies

ROOMS = {  # messages: the models that pages read
    of_studies: ("SessionGiven",),
    of_game: ("RoundGiven", "Limits", "Started", "BubblesStored", "RoundEnded"),
    of_experiment: (
        *("GateValues", "GatePassed", "Item", "Rules", "ListGiven"),
        *("TrainingJudged", "Feedback", "TrialsStored", "Finished"),
    ),
}
HEAD = """\
// Written from data_prep/humans/{room}/messages.py by tests/browser/wire_types.py; a test compares.
"""
NAMES = {"string": "string", "integer": "number", "number": "number", "boolean": "boolean"}


def target(messages) -> Path:
    """The room's file of types."""
    return Path(messages.__file__).parent / "pages" / "wire.js"


def text(messages) -> str:
    """The whole file."""
    head = HEAD.format(room=Path(messages.__file__).parent.name)
    return head + "".join(_typedef(messages, n) for n in ROOMS[messages]) + "\nexport {};\n"


def _typedef(messages, name):
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
    for room in ROOMS:
        target(room).write_text(text(room))
