"""Tables of the game. What a round's states mean is written in `rounds.py`."""

import sqlalchemy as sa

from data_prep.humans.studies.tables import instant, metadata

STATES = (
    "offered",
    "playing",
    "recognised",
    "timed_out",
    "skipped",
    "hidden",
    "abandoned",
    "released",
    "voided",
)
OPEN = ("offered", "playing")

images = sa.Table(
    "images",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),  # random: says nothing of name, class or order
    sa.Column("set", sa.Text, nullable=False),
    sa.Column("path", sa.Text, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("class_index", sa.Integer),  # of the partner, met by wnid or name at each start
    sa.Column("wnid", sa.Text, nullable=False),
    sa.Column("label", sa.Text, nullable=False),  # as shown to players
    sa.Column("is_catch", sa.Boolean, nullable=False),
    sa.Column("reference_path", sa.Text),  # mask of what matters, for catch rounds
    sa.Column("shuffle", sa.BigInteger, nullable=False),  # seeded rank: breaks ties of allocation
    # Rounds that hold this picture: open, recognised or timed out. The one counter kept in the
    # database; `check` counts it anew.
    sa.Column("taken", sa.Integer, nullable=False),
    sa.Column("list_position", sa.Integer),
    instant("retired_at"),
    sa.Column("retired_reason", sa.Text),
    sa.UniqueConstraint("set", "path"),
    sa.Index("ix_images_next", "retired_at", "taken", "shuffle"),
    sa.Index("ix_images_shuffle", "retired_at", "shuffle"),
)

contests = sa.Table(
    "contests",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    instant("begins_at", nullable=False),
    instant("ends_at", nullable=False),
    sa.Column("prizes", sa.Text, nullable=False),
    sa.CheckConstraint("begins_at < ends_at", name="begins_before_it_ends"),
)

rounds = sa.Table(
    "rounds",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("participant_id", sa.Text, sa.ForeignKey("participants.id"), nullable=False),
    sa.Column("session_id", sa.Text, sa.ForeignKey("sessions.id", ondelete="SET NULL")),
    sa.Column("image_id", sa.Text, sa.ForeignKey("images.id"), nullable=False),
    sa.Column("contest_id", sa.Text, sa.ForeignKey("contests.id")),
    sa.Column("tab", sa.Text, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    instant("offered_at", nullable=False),
    instant("lease_until", nullable=False),
    instant("started_at"),
    instant("heard_at", nullable=False),
    instant("moved_at", nullable=False),
    instant("closed_at"),
    sa.Column("first_bubble_ms", sa.BigInteger),  # from the picture's showing to the first click
    sa.Column("bubbles", sa.Integer, nullable=False),
    sa.Column("last_ms", sa.Float, nullable=False),  # t of the last bubble
    sa.Column("evaluated", sa.Integer, nullable=False),  # bubbles in the newest answered question
    sa.Column("points", sa.Float),
    sa.Column("recognised_upto", sa.Integer),
    sa.Column("skip_reason", sa.Text),
    sa.Column("void_reason", sa.Text),
    sa.Column("rules_hash", sa.Text, nullable=False),
    sa.Column("partner_hash", sa.Text, nullable=False),
    sa.Column("input", sa.Text),
    sa.Column("flags", sa.Text, nullable=False),  # ",clock,step," so that one LIKE finds a word
    sa.Column("path_hash", sa.Text),
    sa.Column("is_catch", sa.Boolean, nullable=False),
    sa.Column("catch_score", sa.Float),
    sa.CheckConstraint(
        "state IN ({})".format(", ".join(f"'{state}'" for state in STATES)), name="state_is_known"
    ),
    sa.Index(
        "uq_rounds_one_open",
        "session_id",
        unique=True,
        sqlite_where=sa.text("state IN ('offered', 'playing')"),
        postgresql_where=sa.text("state IN ('offered', 'playing')"),
    ),
    # Nobody gets a picture twice, not even after a skip; one that was never begun does not count.
    sa.Index(
        "uq_rounds_one_each",
        "participant_id",
        "image_id",
        unique=True,
        sqlite_where=sa.text("state <> 'released'"),
        postgresql_where=sa.text("state <> 'released'"),
    ),
    sa.Index("ix_rounds_image", "image_id", "state"),
    sa.Index("ix_rounds_state", "state", "heard_at"),
    sa.Index("ix_rounds_ranking", "contest_id", "participant_id", "points"),
    sa.Index("ix_rounds_path", "path_hash"),
)

bubble_batches = sa.Table(
    "bubble_batches",
    metadata,
    sa.Column("round_id", sa.Text, sa.ForeignKey("rounds.id"), primary_key=True),
    sa.Column("first", sa.Integer, primary_key=True),
    sa.Column("count", sa.Integer, nullable=False),
    sa.Column("points", sa.Text, nullable=False),  # JSON [[x, y, t], ...]
    sa.Column("phase", sa.Text, nullable=False),  # in_time, after_recognition, late
    instant("received_at", nullable=False),
    sa.CheckConstraint("phase IN ('in_time', 'after_recognition', 'late')", name="phase_is_known"),
)

raw_batches = sa.Table(
    "raw_batches",
    metadata,
    sa.Column("round_id", sa.Text, sa.ForeignKey("rounds.id"), primary_key=True),
    sa.Column("events", sa.Text, nullable=False),  # JSON [[type, x, y, t], ...]
)

queries = sa.Table(
    "queries",
    metadata,
    sa.Column("round_id", sa.Text, sa.ForeignKey("rounds.id"), primary_key=True),
    sa.Column("upto", sa.Integer, primary_key=True),  # bubbles that the partner saw
    sa.Column("rank", sa.Integer, nullable=False),  # of the target, 1 is best
    sa.Column("best", sa.Text, nullable=False),  # JSON [[class index, probability], ...]
    sa.Column("took_ms", sa.Float, nullable=False),
    instant("answered_at", nullable=False),
)
