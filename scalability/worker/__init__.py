"""scalelab-worker: a durable queue of tasks and the runner that works on them."""

from scalability.worker.tasks import CurrentTask, current_task

__all__ = ["CurrentTask", "current_task"]
