"""keep which proposer wanted a copy."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

from dynamo.db.tables.types import ascii_text

revision: str = "0012"
down_revision: str | None = "0011"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

_OF_DEALER = "SELECT id FROM cycles WHERE kind = 'dealer' ORDER BY id"
_NAME_FROM_TEXT = (
    # the name stood before the sentence; it is read first, as MariaDB assigns from left to right
    "UPDATE decisions SET proposer = SUBSTR(text, 1, INSTR(text, ': ') - 1),"
    " text = SUBSTR(text, INSTR(text, ': ') + 2)"
    " WHERE cycle_id = :cycle_id AND INSTR(text, ': ') BETWEEN 2 AND 65"
)


def upgrade() -> None:
    """Change the tables."""
    with op.batch_alter_table("decisions") as batch_op:
        batch_op.add_column(sa.Column("proposer", ascii_text(64), nullable=True))
    connection = op.get_bind()
    for cycle_id in connection.execute(sa.text(_OF_DEALER)).scalars().all():
        connection.execute(sa.text(_NAME_FROM_TEXT), {"cycle_id": cycle_id})
