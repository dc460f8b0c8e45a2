"""Stimuli, lists and trials of the experiment. Their people are in `studies/tables.py`."""

import sqlalchemy as sa

from data_prep.humans.studies.tables import instant, metadata

LIST_STATES = ("active", "finished", "abandoned", "withdrawn")
TRIAL_STATES = ("stored", "lost")
SIMULATED = "simulated-"  # how the devices of simulated people begin; a browser's is hexadecimal


def one_of(name: str, values: tuple[str, ...]) -> sa.CheckConstraint:
    """A column that takes these words only."""
    words = ", ".join(f"'{value}'" for value in values)
    return sa.CheckConstraint(f"{name} IN ({words})", name=f"{name}_is_known")


stimulus_sets = sa.Table(
    "stimulus_sets",
    metadata,
    sa.Column("study", sa.Text, primary_key=True),
    sa.Column("hash", sa.Text, nullable=False),  # of manifest and settings
    sa.Column("settings", sa.Text, nullable=False),  # of the generator, JSON
    sa.Column("trials", sa.Text, nullable=False),  # what people do, JSON; must not change either
    instant("added_at", nullable=False),
)

stimuli = sa.Table(
    "stimuli",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),  # random: an address must not tell the level
    sa.Column("study", sa.Text, sa.ForeignKey("stimulus_sets.study"), nullable=False),
    sa.Column("position", sa.Integer, nullable=False),  # of the image in the manifest
    sa.Column("image", sa.Text, nullable=False),
    sa.Column("label", sa.Text, nullable=False),
    sa.Column("side", sa.Text, nullable=False),
    sa.Column("source", sa.Text, nullable=False),
    sa.Column("level", sa.Text, nullable=False),
    sa.Column("training", sa.Boolean, nullable=False),
    sa.Column("share_of_image", sa.Float, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.UniqueConstraint("study", "source", "image", "level"),
    one_of("side", ("target", "distractor")),
)

lists = sa.Table(
    "lists",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("study", sa.Text, sa.ForeignKey("stimulus_sets.study"), nullable=False),
    sa.Column("pool", sa.Text, nullable=False),  # studies whose people must differ
    sa.Column("participant_id", sa.Text, sa.ForeignKey("participants.id"), nullable=False),
    sa.Column("device", sa.Text, nullable=False),  # random, of one browser
    sa.Column("group", sa.Text, nullable=False),  # the source whose stimuli the person sees
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("target_key", sa.Text, nullable=False),
    sa.Column("plan", sa.Text, nullable=False),  # trials and training, JSON (`lists.py`)
    sa.Column("plan_sha256", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("next", sa.Integer, nullable=False),  # index of the trial wanted next
    sa.Column("training", sa.Text, nullable=False),  # answers of the round so far, JSON
    sa.Column("trained", sa.Boolean, nullable=False),
    sa.Column("answers", sa.Text),  # to the questions at the end, JSON
    instant("begun_at", nullable=False),
    instant("heard_at", nullable=False),
    instant("ended_at"),
    sa.UniqueConstraint("pool", "participant_id"),  # nobody in two groups, nobody twice
    one_of("state", LIST_STATES),
    sa.Index(None, "study", "state"),
)

trials = sa.Table(
    "trials",
    metadata,
    sa.Column("list_id", sa.Text, sa.ForeignKey("lists.id"), primary_key=True),
    sa.Column("trial_index", sa.Integer, primary_key=True),
    sa.Column("state", sa.Text, nullable=False),  # lost: cut off by a reload, and not repeated
    sa.Column("block", sa.Integer, nullable=False),
    sa.Column("stimulus_id", sa.Text, sa.ForeignKey("stimuli.id"), nullable=False),
    sa.Column("correct_key", sa.Text, nullable=False),
    sa.Column("response", sa.Text),  # key, KeyS or KeyL by position; NULL: none in time
    sa.Column("rt_ms", sa.Float),
    sa.Column("correct", sa.Boolean),  # NULL: none in time
    sa.Column("too_slow", sa.Boolean, nullable=False),
    sa.Column("early_keys", sa.Integer),
    sa.Column("late_key_ms", sa.Float),
    sa.Column("fixation_planned_ms", sa.Float),
    sa.Column("fixation_ms", sa.Float),
    sa.Column("stimulus_planned_ms", sa.Float),
    sa.Column("stimulus_ms", sa.Float),
    sa.Column("blank_planned_ms", sa.Float),
    sa.Column("blank_ms", sa.Float),
    sa.Column("frames", sa.Integer),
    sa.Column("dropped", sa.Integer),
    sa.Column("longest_gap_ms", sa.Float),
    sa.Column("period_ms", sa.Float),
    sa.Column("onset_ms", sa.Float),  # of the page's own clock
    sa.Column("time_elapsed_ms", sa.Float),  # the same clock, at the trial's end
    sa.Column("events", sa.Text, nullable=False),  # by commas: blur, hidden, resize, fullscreen
    sa.Column("timing_ok", sa.Boolean, nullable=False),
    sa.Column("interrupted", sa.Boolean, nullable=False),  # the block was begun again after it
    sa.Column("sha256", sa.Text, nullable=False),  # of the stimulus, as the browser had it
    instant("received_at", nullable=False),
    one_of("state", TRIAL_STATES),
)

events = sa.Table(
    "events",
    metadata,
    sa.Column("list_id", sa.Text, sa.ForeignKey("lists.id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("at_ms", sa.Float, nullable=False),  # of the page's own clock
    instant("received_at", nullable=False),
)

gates = sa.Table(
    "gates",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("participant_id", sa.Text, sa.ForeignKey("participants.id"), nullable=False),
    sa.Column("values", sa.Text, nullable=False),  # what the browser measured, JSON
    sa.Column("reason", sa.Text, nullable=False),  # why not; "" if all is well
    instant("checked_at", nullable=False),
    sa.Index(None, "participant_id"),
)
