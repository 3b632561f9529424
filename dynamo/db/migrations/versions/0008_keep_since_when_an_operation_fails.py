"""keep since when an operation fails."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from dynamo.db.tables.types import Utc

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Change the tables."""
    with op.batch_alter_table("breakers", schema=None) as batch_op:
        batch_op.add_column(sa.Column("since", Utc(), nullable=True))
