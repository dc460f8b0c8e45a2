"""What a study is, as a value. Commands make it from flags; tests write it down."""

import dataclasses
import hashlib
import json
import os
from typing import Any

from absl import flags


def _field(default: Any, help: str, choices: tuple[str, ...] = ()) -> Any:
    return dataclasses.field(default=default, metadata={"help": help, "choices": choices})


@dataclasses.dataclass(frozen=True)
class StudySettings:
    """Everything about a study that is not about one game or experiment. Fields are flags."""

    study: str = _field("clickme", "name of the study; salts the pseudonyms of exports")
    seed: int = _field(0, "of every draw: order of pictures, names, groups")
    database: str = _field("clickme.db", "SQLite file, or postgresql://user@host/name")
    host: str = _field("127.0.0.1", "address to listen on")
    port: int = _field(8000, "port to listen on; 0 takes a free one")
    workers: int = _field(1, "server processes; the state is in the database alone")
    public_url: str = _field("", "address people open, https://..., if a proxy stands in front")
    trusted_proxies: str = _field("", "addresses whose X-Forwarded-For is believed, by commas")
    allow_plain_http: bool = _field(False, "serve a public address without TLS")
    consent_file: str = _field("", "consent text, UTF-8, blank lines between paragraphs")
    contact: str = _field("", "whom people may write to, shown on the about page")
    completion_url: str = _field("", "link shown when all is stored, for recruitment services")
    retention_date: str = _field("", "YYYY-MM-DD until which data are kept, shown to people")
    withdrawn_maps: str = _field(
        "delete", "what withdrawal does to what a person painted", ("delete", "anonymise")
    )
    sessions_per_hour: int = _field(200, "new sessions an hour and address")

    def hash(self) -> str:
        """Names these settings in exports."""
        text = json.dumps(dataclasses.asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def declare(kind: type, flag_values: flags.FlagValues = flags.FLAGS) -> None:
    """Declares one flag per field of a dataclass of settings, unless the name is taken."""
    for field in dataclasses.fields(kind):
        if field.name not in flag_names(kind) or field.name in flag_values:
            continue
        define = {
            bool: flags.DEFINE_bool,
            int: flags.DEFINE_integer,
            float: flags.DEFINE_float,
            str: flags.DEFINE_string,
        }[type(field.default)]
        arguments = dict(help=field.metadata["help"], flag_values=flag_values)
        if field.metadata.get("choices"):
            define = flags.DEFINE_enum
            arguments["enum_values"] = list(field.metadata["choices"])
        define(field.name, field.default, **arguments)


def flag_names(kind: type) -> list[str]:
    """The fields of a dataclass of settings that are flags."""
    return [field.name for field in dataclasses.fields(kind) if field.metadata.get("help")]


def from_flags(kind: type, flag_values: flags.FlagValues = flags.FLAGS) -> Any:
    """The settings of this kind that the parsed flags describe."""
    return kind(**{name: getattr(flag_values, name) for name in flag_names(kind)})


def secret(name: str) -> str | None:
    """A secret from the environment: NAME holds it, or NAME_FILE a file with it; never a flag.

    Flags are seen by everybody on the machine, and end in shell histories.
    """
    if path := os.environ.get(f"{name}_FILE"):
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    return os.environ.get(name)
