"""The transfer pool: injects, copies, verifies, closes blocks."""

from dynamo.services.injection import closure
from dynamo.services.requests import views as request_views
from dynamo.services.transfers import executor as transfer_executor
from workers.app import app
from workers.context import context


@app.task(name="inject")
def inject(request_ids: list[int]) -> None:
    """Set the transfers of new injections going.

    The first batch here, the others by further messages.
    """
    transfer_executor.inject(context(), request_ids)


@app.task(name="transfer")
def transfer(transfer_ids: list[int]) -> None:
    """Bring a batch of files from their jobs; when a file is tried again is decided by its row."""
    transfer_executor.carry(context(), transfer_ids)


@app.task(name="copy")
def copy(transfer_ids: list[int]) -> None:
    """Bring a batch of files from another site.

    When a file is tried again is decided by its row.
    """
    transfer_executor.carry(context(), transfer_ids)


@app.task(name="refresh")
def refresh(request_ids: list[int]) -> None:
    """See how injections stand that wait for files of earlier ones."""
    request_views.refresh(context(), request_ids)


@app.task(name="close")
def close(request_ids: list[int]) -> None:
    """Close the blocks of finished datasets and see what is still awaited."""
    closure.close(context(), request_ids)
