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
    "dealer": "policy",
    "cycle": "policy",
    "close-idle": "policy",
    "sweep": "policy",
    "evacuate": "policy",
    "tend": "policy",
    "feed": "policy",
    "probe": "consistency",
    "scan": "consistency",
    "remedy": "consistency",
    "tidy": "consistency",
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


EVERY = {
    # task → seconds
    "sweep": _work.sweep_seconds,
    "close-idle": max(60, _work.sweep_seconds),
    "detox": _settings.detox.every_hours * 3600,
    "dealer": _settings.dealer.every_minutes * 60,
    "tend": _settings.site.probe_minutes * 60,
    "evacuate": _settings.site.evacuate_minutes * 60,
    "feed": 60,
    "tidy": _work.sweep_seconds,
    "check": _work.check_seconds,
    "purge": 3600,
}
"""Each is done once in its period, by the database's clock, however many messages ask for it."""

_DAY = 86400


def _beat(task: str) -> dict[str, object]:
    """Beat a task.

    A message expires by the clocks of two machines, so it is given a day: that a worker's clock is
    wrong must not make it drop all that beats, and what piles up while nobody works has an end.
    """
    seconds = EVERY[task]
    options = {"expires": seconds + _DAY}
    return {"task": task, "schedule": timedelta(seconds=seconds), "options": options}


beat_schedule = {
    "find lost work": _beat("sweep"),
    "close idle blocks": _beat("close-idle"),
    "free what is too full": _beat("detox"),
    "copy where data are wanted": _beat("dealer"),
    "try the sites, follow their downtimes": _beat("tend"),
    "empty dying sites": _beat("evacuate"),
    "read what others tell": _beat("feed"),
    "compare storages with the catalogue": _beat("tidy"),
    "check all invariants": _beat("check"),
    "forget what ended long ago": _beat("purge"),
}
beat_max_loop_interval = 5
