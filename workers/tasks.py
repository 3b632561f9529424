"""The tasks of all pools: one for each row of `dynamo.tasks`, and each is one call of a use case.

A pool is a process that takes from some of the queues: see `POOLS` there.
"""

from celery.signals import worker_ready

from dynamo.tasks import TASKS, Task
from workers.app import app
from workers.context import task_runner


def _register(task: Task) -> None:
    def run(ids: list[int] | None = None) -> None:
        task_runner().run(task.name, ids or ())

    run.__doc__ = task.sentence
    app.task(name=task.name)(run)


for _task in TASKS.values():
    _register(_task)


@worker_ready.connect
def _sweep_at_once(**_: object) -> None:
    """Sweep when a pool starts, instead of at the first beat."""
    app.send_task("sweep", argsrepr="sweep as a pool starts", ignore_result=True)
