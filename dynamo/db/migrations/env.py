"""How migrations run: on the connection that `dynamo.db.schema` hands over, in its transaction."""

from alembic import context

from dynamo.db.tables import Base

_given = context.config.attributes

context.configure(
    connection=_given["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,  # of the two only SQLite can take back a table
    render_as_batch=True,  # SQLite alters a table by copying it
    render_item=_given.get("render_item"),
)
with context.begin_transaction():
    context.run_migrations()
