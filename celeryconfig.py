"""The one page about the queues.

Broker, queues, which task goes where, who works on it, what beats when.

Rows of the inventory are the truth and messages are hints: each may be lost, doubled or late.
"""

from datetime import timedelta

from kombu import Exchange, Queue

from dynamo.queues.transport import mend
from dynamo.settings import load

mend()

_settings = load()
_work = _settings.work

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

# --- queues and the pools that work on them -------------------------------------------------------

POOLS = {
    "transfer": ("inject", "copy", "close"),
    "deletion": ("delete",),
    "policy": ("policy",),
    "consistency": ("consistency",),
}
"""Pool → its queues; a close has a queue of its own, so that it never waits behind a large copy."""

task_queues = [
    Queue(name, Exchange(name, type="direct"), routing_key=name)
    for queues in POOLS.values()
    for name in queues
]
task_create_missing_queues = False

QUEUE_OF = {
    # task → queue
    "inject": "inject",
    "transfer": "inject",
    "refresh": "inject",
    "copy": "copy",
    "close": "close",
    "condemn": "delete",
    "delete": "delete",
    "plan": "policy",
    "detox": "policy",
    "cycle": "policy",
    "close-idle": "policy",
    "sweep": "policy",
    "check": "consistency",
    "purge": "consistency",
}
task_routes = {task: {"queue": queue, "routing_key": queue} for task, queue in QUEUE_OF.items()}
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
# no time limit: a copy may take hours. It is bounded by its lease and by the storage's own time-
# outs

# --- beat -----------------------------------------------------------------------------------------


def _every(seconds: float, task: str) -> dict[str, object]:
    """Beat a task.

    A message that was not taken within its period is dropped, as the next one says the same.
    """
    return {"task": task, "schedule": timedelta(seconds=seconds), "options": {"expires": seconds}}


beat_schedule = {
    "find lost work": _every(_work.sweep_seconds, "sweep"),
    "close idle blocks": _every(max(60, _work.sweep_seconds), "close-idle"),
    "free what is too full": _every(_settings.detox.every_hours * 3600, "detox"),
    "check all invariants": _every(_work.check_seconds, "check"),
    "forget what ended long ago": _every(3600, "purge"),
}
beat_max_loop_interval = 5
