"""Services that start bottom-up and stop top-down, loops that survive errors, deadlines."""

from scalability.lifecycle.deadlines import Deadline, DeadlineWheel, MovingDeadline
from scalability.lifecycle.ordered import OrderedService
from scalability.lifecycle.parent import ParentWatch
from scalability.lifecycle.ticker import Ticker

__all__ = ["Deadline", "DeadlineWheel", "MovingDeadline", "OrderedService", "ParentWatch", "Ticker"]
