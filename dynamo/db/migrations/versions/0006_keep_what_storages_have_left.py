"""keep what storages have left."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0006"
down_revision: str | None = "0005"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None


def upgrade() -> None:
    """Change the tables."""
    with op.batch_alter_table("probes", schema=None) as batch_op:
        batch_op.add_column(sa.Column("free", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("used", sa.BigInteger(), nullable=True))
