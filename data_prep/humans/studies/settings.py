"""What a study is, as a value. Commands make it from flags; tests write it down."""

import dataclasses
import hashlib
import json
import os
from typing import Self

from gala_tf import command


class Stored:
    """A dataclass that goes into the database, to further workers and back, as JSON."""

    def as_json(self) -> str:
        """All of it; equal values give the same text."""
        return json.dumps(dataclasses.asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """What `as_json` wrote; what it did not know yet has its default."""
        return _made(cls, json.loads(text))


def _made(kind, values):
    if dataclasses.is_dataclass(kind):
        kinds = {field.name: field.type for field in dataclasses.fields(kind)}
        return kind(**{name: _made(kinds.get(name), value) for name, value in values.items()})
    return tuple(values) if isinstance(values, list) else values  # JSON knows no tuples


@dataclasses.dataclass(frozen=True)
class StudySettings(Stored):
    """Everything about a study that is not about one game or experiment. Fields are flags."""

    study: str = command.flag("clickme", "name of the study; salts the pseudonyms of exports")
    seed: int = command.flag(0, "of every draw: order of pictures, names, groups")
    database: str = command.flag("clickme.db", "SQLite file, or postgresql://user@host/name")
    host: str = command.flag("127.0.0.1", "address to listen on")
    port: int = command.flag(8000, "port to listen on; 0 takes a free one")
    admin_port: int = command.flag(
        0, "loopback port of the live page for whoever runs the study; 0: a free one, -1: none"
    )
    workers: int = command.flag(1, "server processes; the state is in the database alone")
    public_url: str = command.flag(
        "", "address people open, https://..., if a proxy stands in front"
    )
    trusted_proxies: str = command.flag(
        "", "addresses whose X-Forwarded-For is believed, by commas"
    )
    allow_plain_http: bool = command.flag(False, "serve a public address without TLS")
    consent_file: str = command.flag("", "consent text, UTF-8, blank lines between paragraphs")
    contact: str = command.flag("", "whom people may write to, shown on the about page")
    completion_url: str = command.flag(
        "", "link shown when all is stored, for recruitment services"
    )
    retention_date: str = command.flag("", "YYYY-MM-DD until which data are kept, shown to people")
    withdrawn_maps: str = command.flag(
        "delete", "what withdrawal does to what a person painted", ("delete", "anonymise")
    )
    sessions_per_hour: int = command.flag(200, "new sessions an hour and address")

    def hash(self) -> str:
        """Names these settings in exports."""
        return hashlib.sha256(self.as_json().encode()).hexdigest()

    def for_simulation(self) -> "StudySettings":
        """On any loopback port; all sessions come from one address there, and people's do not."""
        return dataclasses.replace(
            self, host="127.0.0.1", port=0, public_url="", sessions_per_hour=1_000_000
        )


def words_of(arguments: list[str]) -> list[str]:
    """Takes a subcommand's words, `contest add`, off the front of a program's arguments."""
    words = []
    while len(arguments) > 1 and not arguments[1].startswith("-"):
        words.append(arguments.pop(1))
    return words


def secret(name: str) -> str | None:
    """A secret from the environment: NAME holds it, or NAME_FILE a file with it; never a flag.

    Flags are seen by everybody on the machine, and end in shell histories.
    """
    if path := os.environ.get(f"{name}_FILE"):
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    return os.environ.get(name)
