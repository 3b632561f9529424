"""refuse words that are no states."""

from collections.abc import Mapping, Sequence

import sqlalchemy as sa
from alembic import op

from dynamo.errors import Conflict

revision: str = "0013"
down_revision: str | None = "0012"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_RUNS = ("queued", "running", "done", "failed")
_UNTIL_GONE = ("queued", "active", "held")
_BAD = ("dark", "missing", "wrong", "corrupt")
_SITES = ("ready", "waitroom", "morgue", "unknown")
WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "block_replicas": {"state": ("valid", "condemned")},
    "breakers": {"operation": ("write", "read", "delete")},
    "cycles": {"kind": ("detox", "dealer"), "state": _RUNS},
    "datasets": {"status": ("valid", "production", "invalid", "deprecated", "deleted")},
    "deletions": {"state": _UNTIL_GONE},
    "incidents": {"kind": ("corrupt", "missing", "lost")},
    "remedies": {
        "kind": ("quarantine", "mend", "remove", "release"),
        "found": _BAD,
        "state": _UNTIL_GONE,
    },
    "requests": {
        "kind": ("injection", "copy", "closure", "deletion", "staging"),
        "state": ("queued", "running", "held", "done", "failed", "cancelled"),
    },
    "scans": {"state": _RUNS},
    "sightings": {"kind": _BAD},
    "sites": {"kind": ("disk", "tape"), "status": _SITES},
    "told_statuses": {"status": _SITES},
    "transfers": {
        "kind": ("pull", "upload", "copy"),
        "state": ("queued", "active", "held", "done", "failed", "cancelled"),
    },
}
"""By table and column, the words that it may hold."""


def upgrade() -> None:
    """Change the tables."""
    for table, columns in WORDS.items():
        for column, words in columns.items():
            _check(table, column, words)
    constrain = _on_mysql if op.get_bind().dialect.name == "mysql" else _on_sqlite
    for table, columns in WORDS.items():
        listed = {name: ", ".join(f"'{word}'" for word in words) for name, words in columns.items()}
        constrain(table, {name: f"{name} IN ({words})" for name, words in listed.items()})


def _on_mysql(table: str, conditions: Mapping[str, str]) -> None:
    """Alter a table once: the server copies it, 20 s for a million rows."""
    added = [f"ADD CONSTRAINT ck_{table}_{name} CHECK ({it})" for name, it in conditions.items()]
    op.execute(f"ALTER TABLE {table} {', '.join(added)}")


def _on_sqlite(table: str, conditions: Mapping[str, str]) -> None:
    with op.batch_alter_table(table) as batch_op:
        for name, condition in conditions.items():
            batch_op.create_check_constraint(batch_op.f(f"ck_{table}_{name}"), condition)


def _check(table: str, column: str, words: Sequence[str]) -> None:
    """Look at what is there before anything is changed. Raises Conflict."""
    held: sa.ColumnClause[str] = sa.column(column)
    others = sa.select(held).select_from(sa.table(table)).where(held.not_in(words)).distinct()
    found = op.get_bind().execute(others.limit(5)).scalars().all()
    if found:
        raise Conflict(
            f"{table}.{column} holds {', '.join(map(repr, found))}, which Dynamo never wrote:"
            f" it may be {', '.join(words)}; correct these rows and start again"
        )
