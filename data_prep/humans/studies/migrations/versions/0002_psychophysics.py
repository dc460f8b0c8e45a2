"""Stimuli, lists, trials: the rapid-categorisation experiment."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Makes the tables."""
    op.create_table(
        "stimulus_sets",
        sa.Column("study", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("settings", sa.Text(), nullable=False),
        sa.Column("trials", sa.Text(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("study", name=op.f("pk_stimulus_sets")),
    )
    op.create_table(
        "gates",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("participant_id", sa.Text(), nullable=False),
        sa.Column("values", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("checked_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["participant_id"], ["participants.id"], name=op.f("fk_gates_participant_id")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gates")),
    )
    op.create_index(op.f("ix_gates_participant_id"), "gates", ["participant_id"], unique=False)
    op.create_table(
        "lists",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("study", sa.Text(), nullable=False),
        sa.Column("pool", sa.Text(), nullable=False),
        sa.Column("participant_id", sa.Text(), nullable=False),
        sa.Column("device", sa.Text(), nullable=False),
        sa.Column("group", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("target_key", sa.Text(), nullable=False),
        sa.Column("plan", sa.Text(), nullable=False),
        sa.Column("plan_sha256", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("next", sa.Integer(), nullable=False),
        sa.Column("training", sa.Text(), nullable=False),
        sa.Column("trained", sa.Boolean(), nullable=False),
        sa.Column("answers", sa.Text(), nullable=True),
        sa.Column("begun_at", sa.BigInteger(), nullable=False),
        sa.Column("heard_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.CheckConstraint(
            "state IN ('active', 'finished', 'abandoned', 'withdrawn')",
            name=op.f("ck_lists_state_is_known"),
        ),
        sa.ForeignKeyConstraint(
            ["participant_id"], ["participants.id"], name=op.f("fk_lists_participant_id")
        ),
        sa.ForeignKeyConstraint(["study"], ["stimulus_sets.study"], name=op.f("fk_lists_study")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_lists")),
        sa.UniqueConstraint("pool", "participant_id", name=op.f("uq_lists_pool_participant_id")),
    )
    op.create_index(op.f("ix_lists_study_state"), "lists", ["study", "state"], unique=False)
    op.create_table(
        "stimuli",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("study", sa.Text(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("image", sa.Text(), nullable=False),
        sa.Column("label", sa.Text(), nullable=False),
        sa.Column("side", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("level", sa.Text(), nullable=False),
        sa.Column("training", sa.Boolean(), nullable=False),
        sa.Column("share_of_image", sa.Float(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "side IN ('target', 'distractor')", name=op.f("ck_stimuli_side_is_known")
        ),
        sa.ForeignKeyConstraint(["study"], ["stimulus_sets.study"], name=op.f("fk_stimuli_study")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_stimuli")),
        sa.UniqueConstraint(
            "study", "source", "image", "level", name=op.f("uq_stimuli_study_source_image_level")
        ),
    )
    op.create_table(
        "events",
        sa.Column("list_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.Float(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["list_id"], ["lists.id"], name=op.f("fk_events_list_id")),
        sa.PrimaryKeyConstraint("list_id", "number", name=op.f("pk_events")),
    )
    op.create_table(
        "trials",
        sa.Column("list_id", sa.Text(), nullable=False),
        sa.Column("trial_index", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("block", sa.Integer(), nullable=False),
        sa.Column("stimulus_id", sa.Text(), nullable=False),
        sa.Column("correct_key", sa.Text(), nullable=False),
        sa.Column("response", sa.Text(), nullable=True),
        sa.Column("rt_ms", sa.Float(), nullable=True),
        sa.Column("correct", sa.Boolean(), nullable=True),
        sa.Column("too_slow", sa.Boolean(), nullable=False),
        sa.Column("early_keys", sa.Integer(), nullable=True),
        sa.Column("late_key_ms", sa.Float(), nullable=True),
        sa.Column("fixation_planned_ms", sa.Float(), nullable=True),
        sa.Column("fixation_ms", sa.Float(), nullable=True),
        sa.Column("stimulus_planned_ms", sa.Float(), nullable=True),
        sa.Column("stimulus_ms", sa.Float(), nullable=True),
        sa.Column("blank_planned_ms", sa.Float(), nullable=True),
        sa.Column("blank_ms", sa.Float(), nullable=True),
        sa.Column("frames", sa.Integer(), nullable=True),
        sa.Column("dropped", sa.Integer(), nullable=True),
        sa.Column("longest_gap_ms", sa.Float(), nullable=True),
        sa.Column("period_ms", sa.Float(), nullable=True),
        sa.Column("onset_ms", sa.Float(), nullable=True),
        sa.Column("time_elapsed_ms", sa.Float(), nullable=True),
        sa.Column("events", sa.Text(), nullable=False),
        sa.Column("timing_ok", sa.Boolean(), nullable=False),
        sa.Column("interrupted", sa.Boolean(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("received_at", sa.BigInteger(), nullable=False),
        sa.CheckConstraint("state IN ('stored', 'lost')", name=op.f("ck_trials_state_is_known")),
        sa.ForeignKeyConstraint(["list_id"], ["lists.id"], name=op.f("fk_trials_list_id")),
        sa.ForeignKeyConstraint(
            ["stimulus_id"], ["stimuli.id"], name=op.f("fk_trials_stimulus_id")
        ),
        sa.PrimaryKeyConstraint("list_id", "trial_index", name=op.f("pk_trials")),
    )
