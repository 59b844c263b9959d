"""Services that start bottom-up and stop top-down, one by one."""

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from scalability.lifecycle.ordered import OrderedService


class Child(Service):
    """Writes down what happens to it; stops when told, or when ``stopping`` fires."""

    def __init__(self, name: str, events: list[str], *, slow: bool = False) -> None:
        self.name = name
        self.events = events
        self.stopping: Deferred[None] | None = Deferred() if slow else None

    def startService(self) -> None:
        super().startService()
        self.events.append(f"{self.name} starts")

    def stopService(self) -> Deferred[None] | None:
        super().stopService()
        self.events.append(f"{self.name} stops")
        return self.stopping


class Broken(Child):
    def stopService(self) -> Deferred[None] | None:
        super().stopService()
        raise ZeroDivisionError


class OrderedServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.events: list[str] = []
        self.root = OrderedService()

    def add(self, child: Child) -> Child:
        child.setServiceParent(self.root)
        return child

    def test_children_start_in_the_order_they_were_added(self) -> None:
        for name in ("store", "pool", "listener"):
            self.add(Child(name, self.events))
        self.root.startService()
        assert self.events == ["store starts", "pool starts", "listener starts"]

    def test_children_stop_in_the_opposite_order(self) -> None:
        for name in ("store", "pool", "listener"):
            self.add(Child(name, self.events))
        self.root.startService()
        self.events.clear()
        self.successResultOf(self.root.stopService())
        assert self.events == ["listener stops", "pool stops", "store stops"]
        assert not self.root.running

    def test_each_has_stopped_before_the_one_below_it_is_asked_to(self) -> None:
        self.add(Child("store", self.events))
        listener = self.add(Child("listener", self.events, slow=True))
        self.root.startService()
        self.events.clear()
        stopped = self.root.stopService()
        assert self.events == ["listener stops"]
        self.assertNoResult(stopped)
        assert listener.stopping is not None
        listener.stopping.callback(None)
        self.successResultOf(stopped)
        assert self.events == ["listener stops", "store stops"]

    def test_a_child_that_fails_to_stop_is_logged_and_the_others_are_stopped(self) -> None:
        self.add(Child("store", self.events))
        self.add(Broken("pool", self.events))
        later = self.add(Child("listener", self.events, slow=True))
        self.root.startService()
        stopped = self.root.stopService()
        assert later.stopping is not None
        later.stopping.errback(ValueError())
        self.successResultOf(stopped)
        assert self.events[-3:] == ["listener stops", "pool stops", "store stops"]
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        assert len(self.flushLoggedErrors(ValueError)) == 1

    def test_stopping_before_starting_or_after_a_stop_is_harmless(self) -> None:
        self.add(Child("store", self.events))
        self.successResultOf(self.root.stopService())
        assert self.events == []
        self.root.startService()
        self.successResultOf(self.root.stopService())
        self.successResultOf(self.root.stopService())
        assert self.events == ["store starts", "store stops"]

    def test_stopping_again_meanwhile_keeps_the_order_and_waits_for_the_same(self) -> None:
        self.add(Child("store", self.events))
        listener = self.add(Child("listener", self.events, slow=True))
        self.root.startService()
        first = self.root.stopService()
        second = self.root.stopService()
        assert self.events[-1] == "listener stops"
        self.assertNoResult(second)
        assert listener.stopping is not None
        listener.stopping.callback(None)
        self.successResultOf(first)
        self.successResultOf(second)
        assert self.events[-2:] == ["listener stops", "store stops"]

    def test_it_can_be_started_again(self) -> None:
        self.add(Child("store", self.events))
        for _ in range(2):
            self.root.startService()
            self.successResultOf(self.root.stopService())
        assert self.events == ["store starts", "store stops"] * 2

    def test_a_child_may_be_such_a_service_itself(self) -> None:
        inner = OrderedService()
        inner.setServiceParent(self.root)
        self.add(Child("listener", self.events))
        Child("store", self.events).setServiceParent(inner)
        self.root.startService()
        self.successResultOf(self.root.stopService())
        assert self.events == ["store starts", "listener starts", "listener stops", "store stops"]
