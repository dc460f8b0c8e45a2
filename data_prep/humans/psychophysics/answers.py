"""What people answer: training, trials, the end. Each function is part of one transaction.

The server alone judges: it knows the side of a stimulus, the browser does not.
"""

import json
from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from data_prep.humans.psychophysics import allocation
from data_prep.humans.psychophysics import messages as m
from data_prep.humans.psychophysics.errors import (
    ListOver,
    NoList,
    NotTrained,
    TrialsMissing,
    WrongStimulus,
)
from data_prep.humans.psychophysics.lists import KEYS, plan_of
from data_prep.humans.psychophysics.settings import Settings
from data_prep.humans.psychophysics.tables import events, lists, stimuli, trials

LAST = 8  # trainings that are looked at


def own(connection: sa.Connection, list_id: str, participant_id: str) -> sa.Row:
    """One's own list, locked; NoList if there is none, ListOver if it was given up."""
    mine = sa.and_(lists.c.id == list_id, lists.c.participant_id == participant_id)
    row = connection.execute(lists.select().where(mine).with_for_update()).one_or_none()
    if row is None:
        raise NoList()
    if row.state in ("abandoned", "withdrawn"):
        raise ListOver()
    return row


def _heard(connection, row, now_ms, **values):
    update = lists.update().where(lists.c.id == row.id)
    connection.execute(update.values(heard_at=now_ms, **values))


def stimuli_of(connection: sa.Connection, row: sa.Row) -> Mapping[tuple[str, str], sa.Row]:
    """(image, level) -> stimulus, of the list's group."""
    query = stimuli.select().where(stimuli.c.study == row.study, stimuli.c.source == row.group)
    return {(one.image, one.level): one for one in connection.execute(query)}


def right_key(target_key: str, side: str) -> str:
    """The key of a side."""
    other = KEYS[1 - KEYS.index(target_key)]
    return target_key if side == "target" else other


# --------------------------------------------------------------------------- training


def judge_training(
    connection: sa.Connection, settings: Settings, row: sa.Row, sent: m.TrainingSent, now_ms: int
) -> m.TrainingJudged:
    """Judges an answer of the training; one sent again is judged as before."""
    practice, had = plan_of(row.plan).training, json.loads(row.training)
    if sent.index >= len(practice) or sent.index > len(had):
        raise TrialsMissing(next=len(had))
    if sent.index == len(had):
        item = practice[sent.index]
        side = stimuli_of(connection, row)[item.image, item.level].side
        correct = sent.response and sent.response == right_key(row.target_key, side)
        had.append([sent.response, sent.rt_ms, correct if sent.response else None])
    passed = sum(one[2] is True for one in had[-LAST:]) >= settings.trials.training_passes
    done = row.trained or passed or len(had) == len(practice)
    _heard(connection, row, now_ms, training=json.dumps(had), trained=done)
    return m.TrainingJudged(correct=had[sent.index][2], done=done)


# --------------------------------------------------------------------------- trials


def store(
    connection: sa.Connection,
    settings: Settings,
    row: sa.Row,
    sent: Sequence[m.TrialSent],
    now_ms: int,
) -> m.TrialsStored:
    """Stores what is new; what is there already is not looked at again.

    Raises:
      TrialsMissing: one is missing before these; nothing was stored.
      WrongStimulus: another file was shown than the list says.
      NotTrained: the training comes first.
    """
    plan = plan_of(row.plan)
    new = [trial for trial in sent if trial.index >= row.next]
    if [trial.index for trial in new] != list(range(row.next, row.next + len(new))):
        raise TrialsMissing(next=row.next)
    if new and new[-1].index >= len(plan.trials):
        raise TrialsMissing(next=row.next)
    if new and not row.trained:
        raise NotTrained()
    block, shown = allocation.block_size(row, settings), stimuli_of(connection, row)
    for trial in new:
        planned = plan.trials[trial.index]
        stimulus = shown[planned.image, planned.level]
        values = _judged(settings, row.target_key, stimulus, planned.fixation_ms, trial)
        place = {"list_id": row.id, "trial_index": trial.index, "block": trial.index // block}
        connection.execute(trials.insert().values(**place, **values, received_at=now_ms))
    upto = row.next + len(new)
    _heard(connection, row, now_ms, next=upto)
    last = sent[-1].index
    ends_block = (last + 1) % block == 0 and last < upto
    feedback = _feedback(connection, row.id, last // block) if ends_block else None
    return m.TrialsStored(stored=len(new), next=upto, feedback=feedback)


def _judged(settings, target_key, stimulus, fixation_ms, trial):
    key = right_key(target_key, stimulus.side)
    common = {
        "stimulus_id": stimulus.id,
        "correct_key": key,
        "sha256": stimulus.sha256,
        "interrupted": False,
    }
    if trial.lost:
        return common | {"state": "lost", "too_slow": False, "timing_ok": False, "events": ""}
    if trial.sha256 != stimulus.sha256:
        raise WrongStimulus(index=trial.index)
    rules = settings.trials
    return common | {
        "state": "stored",
        "response": trial.response,
        "rt_ms": trial.rt_ms if trial.response else None,
        "correct": trial.response == key if trial.response else None,
        "too_slow": trial.response is None,
        "early_keys": trial.early_keys,
        "late_key_ms": trial.late_key_ms,
        "fixation_planned_ms": fixation_ms,
        "fixation_ms": trial.fixation_ms,
        "stimulus_planned_ms": rules.stimulus_ms,
        "stimulus_ms": trial.stimulus_ms,
        "blank_planned_ms": rules.blank_ms,
        "blank_ms": trial.blank_ms,
        "frames": trial.frames,
        "dropped": trial.dropped,
        "longest_gap_ms": trial.longest_gap_ms,
        "period_ms": trial.period_ms,
        "onset_ms": trial.onset_ms,
        "time_elapsed_ms": trial.time_elapsed_ms,
        "events": ",".join(trial.events),
        "timing_ok": timing_ok(trial, rules.stimulus_ms, rules.key_ends_trial),
    }


def timing_ok(trial: m.TrialSent, planned_ms: float, key_ends_trial: bool) -> bool:
    """Whether the stimulus was shown as planned, to a frame, and nothing happened meanwhile."""
    if trial.stimulus_ms is None or trial.period_ms is None or trial.events:
        return False
    off = trial.stimulus_ms - planned_ms
    if key_ends_trial and trial.response:
        off = max(off, 0)
    return abs(off) <= trial.period_ms


def _feedback(connection, list_id, block):
    mine = sa.and_(trials.c.list_id == list_id, trials.c.block == block)
    rows = connection.execute(
        sa.select(trials.c.correct, trials.c.rt_ms, trials.c.too_slow).where(mine)
    ).all()
    answered = [row for row in rows if row.correct is not None]
    count = len(answered) or None
    return m.Feedback(
        block=block,
        accuracy=count and sum(row.correct for row in answered) / count,
        rt_ms=count and sum(row.rt_ms for row in answered) / count,
        too_slow=sum(row.too_slow for row in rows),
    )


# --------------------------------------------------------------------------- around them


def store_events(
    connection: sa.Connection, row: sa.Row, sent: Sequence[m.EventSent], now_ms: int
) -> m.EventsStored:
    """Stores what happened to the window; numbers that are there already are left."""
    query = sa.select(events.c.number).where(events.c.list_id == row.id)
    known = set(connection.execute(query).scalars())
    new = {one.number: one for one in sent if one.number not in known}
    for number, one in new.items():
        values = {"kind": one.kind, "at_ms": one.at_ms, "received_at": now_ms}
        connection.execute(events.insert().values(list_id=row.id, number=number, **values))
    return m.EventsStored(stored=len(new))


def finish(
    connection: sa.Connection, settings: Settings, row: sa.Row, sent: m.FinishSent, now_ms: int
) -> m.Finished:
    """Ends a list when every trial is accounted for and few enough are lost."""
    lost_of = sa.and_(trials.c.list_id == row.id, trials.c.state == "lost")
    count = sa.select(sa.func.count()).select_from(trials)
    lost = connection.execute(count.where(lost_of)).scalar_one()
    missing = len(plan_of(row.plan).trials) - row.next
    complete = missing == 0 and lost <= settings.trials.lost_most
    answers = sent.model_dump(exclude={"list"})
    if row.answers is None and missing == 0:
        _heard(connection, row, now_ms, answers=json.dumps(answers))
    if complete:
        allocation.move(connection, row.id, "finish", now_ms)
    link = settings.study.completion_url if complete else ""
    return m.Finished(complete=complete, missing=missing, lost=lost, link=link)
