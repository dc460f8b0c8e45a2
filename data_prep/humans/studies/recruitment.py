"""Where people come from: each service's names for the same three things.

Only the parameters named here are read from the address; others are ignored, never stored.
"""

import re
from collections.abc import Mapping
from typing import NamedTuple

# provider: (person, study, session), as the service writes them into the address of the study
PROVIDERS = {
    "prolific": ("PROLIFIC_PID", "STUDY_ID", "SESSION_ID"),
    "mturk": ("workerId", "hitId", "assignmentId"),
    "pid": ("pid", "study", "session"),
}
PARAMETERS = tuple(name for names in PROVIDERS.values() for name in names)
# Mechanical Turk shows a page before the person accepts; nobody takes part yet.
PREVIEW = "ASSIGNMENT_ID_NOT_AVAILABLE"
_ID = re.compile(r"[A-Za-z0-9_.:@-]{1,128}")


class Recruitment(NamedTuple):
    """One outside identity; the only place where a person can be linked to a service."""

    provider: str
    external_id: str
    study: str | None
    session: str | None


def read(parameters: Mapping[str, str]) -> Recruitment | None:
    """The identity in an address's parameters; None for people who came by themselves.

    A value that does not look like an id is as good as none: it came from whoever made the link.
    """
    for provider, names in PROVIDERS.items():
        values = [parameters.get(name, "") for name in names]
        person, study, session = (value if _ID.fullmatch(value) else None for value in values)
        if person and session != PREVIEW:
            return Recruitment(provider, person, study, session)
    return None
