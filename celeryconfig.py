"""The configuration of Celery: broker, queues, routes and beat, made from `dynamo.tasks`.

Only entry points import it.
The rows of the inventory are the truth. Messages are hints: they may be lost, doubled or late.
"""

from datetime import timedelta

from kombu import Exchange, Queue

from dynamo.queues.transport import mend
from dynamo.settings import load
from dynamo.tasks import QUEUES, TASKS

mend()

_settings = load()

# --- broker ---------------------------------------------------------------------------------------

broker_url = _settings.broker.url or "redis://127.0.0.1:6379/0"
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
broker_transport_options = {
    "visibility_timeout": 1800,
    "unacked_restore_interval": 5,
    "unacked_restore_throttle": 1,
    "socket_timeout": 5,
    "socket_connect_timeout": 2,
    "health_check_interval": 25,
}
visibility_timeout = 1800

# --- queues ---------------------------------------------------------------------------------------

task_queues = [Queue(name, Exchange(name, type="direct"), routing_key=name) for name in QUEUES]
task_create_missing_queues = False
task_routes = {
    task.name: {"queue": task.queue, "routing_key": task.queue} for task in TASKS.values()
}
task_default_queue = "policy"

# --- tasks ----------------------------------------------------------------------------------------

task_serializer = result_serializer = "json"
accept_content = ["json"]
task_ignore_result = True
task_acks_late = True
task_reject_on_worker_lost = True
worker_prefetch_multiplier = 1
worker_cancel_long_running_tasks_on_connection_loss = False
worker_soft_shutdown_timeout = 10
worker_hijack_root_logger = False
worker_send_task_events = True
task_send_sent_event = True
task_publish_retry_policy = {
    "max_retries": 1,
    "interval_start": 0,
    "interval_step": 0.1,
    "interval_max": 0.1,
}
timezone = "UTC"
# no time limit: a copy may take hours; its lease and the storage's time-outs limit it

# --- beat -----------------------------------------------------------------------------------------

_DAY = 86400


def _entry(task: str, seconds: float) -> dict[str, object]:
    """Return the schedule of a task's message.

    A message expires by the clocks of two machines, so it lives a day longer: a wrong clock must
    not make a worker drop all beats, yet messages do not pile up without end.
    """
    options = {"expires": seconds + _DAY}
    return {"task": task, "schedule": timedelta(seconds=seconds), "options": options}


beat_schedule = {
    task.beat.name: _entry(task.name, task.beat.seconds(_settings))
    for task in TASKS.values()
    if task.beat is not None
}
beat_max_loop_interval = 5
