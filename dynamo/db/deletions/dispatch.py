"""Sending deletions that are due to the deletion pool."""

from sqlalchemy import select

from dynamo.db.engine.unit_of_work import Work
from dynamo.db.tables import Deletion
from dynamo.operations.hints import hints
from dynamo.operations.lifecycle import State


def announce(work: Work, request_id: int, batch: int) -> None:
    """Send what this unit of work has condemned, and may be deleted now, to the deletion pool."""
    due = (
        Deletion.request_id == request_id,
        Deletion.created == work.now,  # not all of the request again with each batch of blocks
        Deletion.state == State.QUEUED,
        Deletion.not_before <= work.now,
    )
    ids = work.scalars(select(Deletion.id).where(*due).order_by(Deletion.id))
    work.hint(*hints("delete", ids, batch, f"delete {{n}} files, request {request_id}"))
