"""keep where requests come from."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import op

from dynamo.db.tables.types import ascii_text

revision: str = "0011"
down_revision: str | None = "0010"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_AT_ONCE = 5000
_ORIGINS = ("caller", "cycle", "evacuation", "repair", "rescue")
_REQUESTS = sa.table(
    "requests",
    sa.column("id", sa.BigInteger),
    sa.column("kind", sa.String),
    sa.column("origin", sa.String),
    sa.column("body", sa.JSON),
)


def upgrade() -> None:
    """Change the tables."""
    with op.batch_alter_table("requests") as batch_op:
        batch_op.add_column(
            sa.Column("origin", ascii_text(32), nullable=False, server_default="caller")
        )
        batch_op.create_check_constraint(batch_op.f("ck_requests_origin"), f"origin IN {_ORIGINS}")
    last = 0
    while rows := _rows(last):
        for row in rows:
            _change(row)
        last = rows[-1].id


def _rows(after: int) -> Sequence[Any]:
    some = sa.select(_REQUESTS).where(
        _REQUESTS.c.id > after, _REQUESTS.c.kind.in_(("copy", "deletion"))
    )
    return op.get_bind().execute(some.order_by(_REQUESTS.c.id).limit(_AT_ONCE)).all()


def _change(row: Any) -> None:
    body = json.loads(row.body) if isinstance(row.body, str) else row.body
    origin, of_system = _told(body)
    if of_system is not None:
        mine = sa.update(_REQUESTS).where(_REQUESTS.c.id == row.id)
        op.get_bind().execute(mine.values(origin=origin, body=of_system))


def _told(body: Mapping[str, Any]) -> tuple[str, dict[str, Any] | None]:
    """Return the origin, and what is kept of the body; None where a caller has asked."""
    if "mends" in body:
        return "repair", {"lfn": body["mends"], "site": body["site"]}
    if "rescue" in body:
        return "rescue", {"deletion_id": body["rescue"]}
    if "evacuation" in body:
        return "evacuation", {"site": body["evacuation"]}
    if "cycle" in body:
        return "cycle", {"cycle_id": body["cycle"]}
    return "caller", None
