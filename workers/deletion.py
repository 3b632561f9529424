"""The deletion pool: condemns under the guard, deletes when the grace is over."""

from dynamo.services.deletions import condemnation, reaper
from workers.app import app
from workers.context import context


@app.task(name="condemn")
def condemn(request_ids: list[int]) -> None:
    """Condemn what deletion requests name."""
    condemnation.run(context(), request_ids)


@app.task(name="delete")
def delete(deletion_ids: list[int]) -> None:
    """Delete a batch of files; when a file is tried again is decided by its row."""
    reaper.run(context(), deletion_ids)
