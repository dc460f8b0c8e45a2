"""Everything out again: tables with pseudonyms, byte for byte the same for the same database.

trials.csv            one line a trial; trials_codebook.csv says what its columns are
participants.csv      one line a person with a list
sessions.csv          what each browser measured of itself
lists/<number>.csv    the list of each group and number that somebody had
harmonization.npz     accuracy over levels, as that project's files have it (full = 200)
about.json            study, stimuli, counts, what was left out and why
"""

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import sqlalchemy as sa

from data_prep.humans.psychophysics.levels import FULL, LEVEL_NAMES, LEVELS
from data_prep.humans.psychophysics.lists import plan_of
from data_prep.humans.psychophysics.tables import (
    SIMULATED,
    gates,
    lists,
    stimuli,
    stimulus_sets,
    trials,
)
from data_prep.humans.studies import writing
from data_prep.humans.studies.pseudonyms import pseudonym
from data_prep.humans.studies.tables import participants, sessions, studies

CODE_BOOK = {
    "participant": "pseudonym, of this study only",
    "group": "source of the maps whose stimuli the person saw",
    "list": "number of the list within the group, 0-23",
    "trial_index": "from 0, in the order shown",
    "state": "stored; or lost: cut off by a reload, and not repeated",
    "block": "from 0",
    "image": "image, of the manifest",
    "label": "its class",
    "side": "target or distractor",
    "level": "per cent of the important pixels; full: the whole image",
    "share_of_image": "pixels shown, as a share of the image",
    "correct_key": "KeyS or KeyL, by position",
    "response": "key pressed in time; empty: none",
    "rt_ms": "key's stamp less the stamp of the frame that drew the stimulus",
    "correct": "1 or 0; empty: no answer in time",
    "too_slow": "1: no answer in time",
    "early_keys": "keys pressed before the stimulus, which count for nothing",
    "late_key_ms": "first key after the time to answer, from the onset",
    "fixation_planned_ms": "by the list",
    "fixation_ms": "by frames' stamps",
    "stimulus_planned_ms": "by the study",
    "stimulus_ms": "by frames' stamps",
    "blank_planned_ms": "by the study",
    "blank_ms": "by frames' stamps",
    "frames": "of the trial",
    "dropped": "frames that did not come",
    "longest_gap_ms": "between two frames",
    "period_ms": "of the screen, measured before the trials",
    "onset_ms": "stamp of the frame that drew the stimulus, of the page's clock",
    "time_elapsed_ms": "the same clock, when the trial was kept",
    "events": "what happened to the window in the trial",
    "timing_ok": "1: the stimulus was as planned to one frame, and nothing happened",
    "interrupted": "1: the page was loaded anew later in the same block",
    "sha256": "of the stimulus's file",
}
_TRIAL_COLUMNS = [name for name in CODE_BOOK if name in trials.c]


def write(connection: sa.Connection, study: str, folder: Path) -> dict:
    """Writes all tables of a study; returns what about.json says.

    ValueError: the database holds no such study.
    """
    known = connection.execute(
        stimulus_sets.select().where(stimulus_sets.c.study == study)
    ).one_or_none()
    if known is None:
        names = connection.execute(sa.select(stimulus_sets.c.study)).scalars().all()
        raise ValueError(f"--study={study!r} is not in the database; there are {names}.")
    salt = connection.execute(sa.select(studies.c.salt).where(studies.c.name == study)).scalar()

    def name_of(participant_id):
        return pseudonym(salt, participant_id)

    people = _people(connection, study)
    left = [row for row in people if row.excluded_reason]
    people = [row for row in people if not row.excluded_reason]
    rows = list(_trials(connection, study, name_of, {row.id for row in people}))
    folder.mkdir(parents=True, exist_ok=True)
    writing.write_csv(folder / "trials.csv", CODE_BOOK, rows)
    writing.write_csv(folder / "trials_codebook.csv", ("column", "meaning"), CODE_BOOK.items())
    writing.write_csv(folder / "participants.csv", *_about_people(people, name_of))
    writing.write_csv(folder / "sessions.csv", *_measured(connection, people, name_of))
    _write_lists(folder / "lists", people)
    writing.write(folder / "harmonization.npz", _harmonization(rows))
    about = {
        "study": study,
        "stimuli": json.loads(known.settings) | {"hash": known.hash},
        "rules": json.loads(known.trials),
        "people": len(people),
        "simulated_people": sum(row.device.startswith(SIMULATED) for row in people),
        "trials": len(rows),
        "left_out": {"people excluded by an administrator": len(left)},
    }
    writing.write(folder / "about.json", writing.to_json(about))
    return about


def _people(connection, study):
    query = (
        sa.select(lists, participants.c.excluded_reason, sessions.c.browser_family)
        .join(participants, participants.c.id == lists.c.participant_id)
        .outerjoin(sessions, sessions.c.participant_id == lists.c.participant_id)
        .where(lists.c.study == study)
        .order_by(lists.c.begun_at, lists.c.id, sessions.c.begun_at)
    )
    return list({row.id: row for row in connection.execute(query)}.values())  # a person once


def _trials(connection, study, name_of, list_ids):
    shown = (stimuli.c.image, stimuli.c.label, stimuli.c.side, stimuli.c.level)
    query = (
        sa.select(
            *(trials.c[name] for name in _TRIAL_COLUMNS),
            *(*shown, stimuli.c.share_of_image, lists.c.id.label("list_id")),
            lists.c.participant_id.label("person"),
            lists.c.group.label("group"),
            lists.c.number.label("list"),
        )
        .join(lists, lists.c.id == trials.c.list_id)
        .join(stimuli, stimuli.c.id == trials.c.stimulus_id)
        .where(lists.c.study == study)
        .order_by(lists.c.begun_at, lists.c.id, trials.c.trial_index)
    )
    for row in connection.execute(query):
        if row.list_id in list_ids:
            values = {**row._mapping, "participant": name_of(row.person)}
            yield [_cell(values[name]) for name in CODE_BOOK]


def _cell(value):
    if value is None:
        return ""
    if isinstance(value, bool):
        return int(value)
    return round(value, 4) if isinstance(value, float) else value


def _about_people(people, name_of):
    columns = ("participant", "group", "list", "target_key", "state", "trials", "browser")
    answered = ("handedness", "age_range", "odd")
    rows = []
    for row in people:
        answers = json.loads(row.answers or "{}")
        values = (row.group, row.number, row.target_key, row.state, row.next, row.browser_family)
        said = (writing.plain(answers.get(name, "")) for name in answered)
        rows.append([name_of(row.participant_id), *map(_cell, values), *said])
    return (*columns, *answered), rows


def _measured(connection, people, name_of):
    query = gates.select().order_by(gates.c.checked_at, gates.c.id)
    ids = {row.participant_id for row in people}
    found = [row for row in connection.execute(query) if row.participant_id in ids]
    names = sorted({name for row in found for name in json.loads(row.values)})
    rows = []
    for row in found:
        values = json.loads(row.values)
        cells = (writing.plain(_cell(values.get(name))) for name in names)
        rows.append([name_of(row.participant_id), row.reason, *cells])
    return ("participant", "reason", *names), rows


def _write_lists(folder, people):
    folder.mkdir(exist_ok=True)
    for row in {(row.group, row.number): row for row in people}.values():
        plan = [(index, *trial) for index, trial in enumerate(plan_of(row.plan).trials)]
        columns = ("trial_index", "image", "level", "fixation_ms")
        writing.write_csv(folder / f"{row.group}-{row.number:02d}.csv", columns, plan)


def _harmonization(rows: Sequence[Sequence]):
    """Columns Revelation and correct, an entry an answer in time, as their file has it."""
    level, correct, image = (list(CODE_BOOK).index(name) for name in ("level", "correct", "image"))
    percent = dict(zip(LEVEL_NAMES, LEVELS, strict=False)) | {FULL: 200.0}
    answered = [row for row in rows if row[correct] != ""]
    file = io.BytesIO()
    np.savez(
        file,
        Revelation=np.array([percent[row[level]] for row in answered]),
        correct=np.array([int(row[correct]) for row in answered]),
        image=np.array([row[image] for row in answered], dtype=str),
    )
    return file.getvalue()
