"""keep which call was told an upload address."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from dynamo.db.tables.types import BIG

revision: str = "0007"
down_revision: str | None = "0006"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Change the tables."""
    with op.batch_alter_table("transfers", schema=None) as batch_op:
        batch_op.add_column(sa.Column("rebooked_by", BIG, nullable=True))
