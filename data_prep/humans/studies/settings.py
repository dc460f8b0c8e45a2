"""What a study is, as a value. Commands make it from flags; tests write it down."""

import dataclasses
import hashlib
import json
import os

from gala_tf import command


@dataclasses.dataclass(frozen=True)
class StudySettings:
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
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


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
