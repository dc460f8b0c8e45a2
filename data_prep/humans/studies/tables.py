"""Tables about people. Identities from outside stand in one table, contacts in another.

Instants are UTC in integer milliseconds and end in `_at`. Ids are random text, so that nothing can
be counted or guessed by them.
"""

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={  # so that migrations on both back ends can speak of a constraint
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def instant(name: str, **arguments) -> sa.Column:
    """UTC, integer ms; 64 bits, as PostgreSQL's plain integer ends in 1970."""
    return sa.Column(name, sa.BigInteger, **arguments)


studies = sa.Table(
    "studies",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("settings", sa.Text, nullable=False),
    sa.Column("settings_hash", sa.Text, nullable=False),
    sa.Column("salt", sa.Text, nullable=False),  # of the pseudonyms of exports
    instant("begun_at", nullable=False),
)

consent_texts = sa.Table(
    "consent_texts",
    metadata,
    sa.Column("version", sa.Integer, primary_key=True),
    sa.Column("text", sa.Text, nullable=False),
    sa.Column("sha256", sa.Text, nullable=False, unique=True),
    instant("published_at", nullable=False),
)

participants = sa.Table(
    "participants",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("display_name", sa.Text, nullable=False, unique=True),
    sa.Column("group", sa.Text),
    instant("created_at", nullable=False),
    instant("paused_at"),
    instant("withdrawn_at"),
    sa.Column("excluded_reason", sa.Text),
)

recruitments = sa.Table(
    "recruitments",
    metadata,
    sa.Column("participant_id", sa.Text, sa.ForeignKey("participants.id"), primary_key=True),
    sa.Column("provider", sa.Text, nullable=False),
    sa.Column("external_id", sa.Text, nullable=False),
    sa.Column("external_study", sa.Text),
    sa.Column("external_session", sa.Text),
    sa.UniqueConstraint("provider", "external_id"),
)

contacts = sa.Table(
    "contacts",
    metadata,
    sa.Column("participant_id", sa.Text, sa.ForeignKey("participants.id"), primary_key=True),
    sa.Column("email", sa.Text, nullable=False),
)

consents = sa.Table(
    "consents",
    metadata,
    sa.Column("participant_id", sa.Text, sa.ForeignKey("participants.id"), primary_key=True),
    sa.Column("version", sa.Integer, sa.ForeignKey("consent_texts.version"), primary_key=True),
    sa.Column("accepted", sa.Boolean, nullable=False),
    instant("answered_at", nullable=False),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("participant_id", sa.Text, sa.ForeignKey("participants.id"), nullable=False),
    sa.Column("token_hash", sa.Text, nullable=False, unique=True),
    instant("begun_at", nullable=False),
    # Coarse on purpose: enough to tell a phone from a desk, too little to tell people apart.
    sa.Column("device_class", sa.Text, nullable=False),
    sa.Column("browser_family", sa.Text, nullable=False),
    sa.Column("canvas_css_px", sa.Float),
    sa.Column("device_pixel_ratio", sa.Float),
    sa.Column("touch", sa.Boolean),
    sa.Index(None, "participant_id"),
)

reports = sa.Table(
    "reports",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("participant_id", sa.Text, sa.ForeignKey("participants.id")),
    sa.Column("text", sa.Text, nullable=False),
    instant("reported_at", nullable=False),
)

admin_log = sa.Table(
    "admin_log",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    instant("acted_at", nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("subject", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)
