"""Mounting an app."""

from klein import Klein
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.task import Clock

from scalability.api.json import MAX_BODY_BYTES
from scalability.api.mount import mount
from scalability.net.listen import Drains
from scalability.testing.asking import Asking


def test_an_app_becomes_a_factory_that_drains_and_counts() -> None:
    factory = mount(Klein(), reactor=Clock())
    assert IProtocolFactory.providedBy(factory)
    assert isinstance(factory, Drains)
    assert factory.max_body_bytes == MAX_BODY_BYTES
    assert [metric.name for metric in factory.metrics][:2] == ["http_server_active_requests", "http_server_request_duration_seconds"]


def test_the_limit_of_bodies_can_be_another() -> None:
    app = Klein()

    @app.route("/", methods=["POST"])
    def index(request: object) -> bytes:
        return b"ok"

    asking = Asking(app, Clock(), max_body_bytes=3)
    assert asking.post("/", body=b"abc").status == 200
    assert asking.post("/", body=b"abcd").status == 413


def test_two_apps_do_not_share_their_counts() -> None:
    clock = Clock()
    one, other = mount(Klein(), reactor=clock), mount(Klein(), reactor=clock)
    one.http.active.value += 1
    assert other.http.active.value == 0


def test_the_wheel_turns_only_while_the_factory_listens() -> None:
    clock = Clock()
    factory = mount(Klein(), reactor=clock)
    assert not clock.getDelayedCalls()
    factory.doStart()
    assert clock.getDelayedCalls()
    factory.doStop()
    assert not clock.getDelayedCalls()
