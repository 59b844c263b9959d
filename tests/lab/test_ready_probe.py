"""Asking /readyz of a real listener."""

from typing import Any

import pytest
from twisted.web.resource import Resource
from twisted.web.server import Site

from scalability.config import Address
from scalability.lab.ready_probe import asks
from scalability.lifecycle import DeadlineWheel


class Readyz(Resource):
    isLeaf = True  # noqa: N815 - Twisted's name
    status, body = 200, b'{"status":"ready"}'

    def render(self, request: Any) -> bytes:
        assert request.path == b"/readyz"
        request.setResponseCode(self.status)
        return self.body


async def ask(readyz: Readyz | None) -> str | None:
    from twisted.internet import reactor

    wheel = DeadlineWheel(reactor, tick_s=0.05)
    wheel.startService()
    site: Any = Site(readyz)
    port: Any = reactor.listenTCP(0, site, interface="127.0.0.1")
    number = port.getHost().port
    try:
        if readyz is None:
            await port.stopListening()
        return await asks(reactor, wheel, {"x": Address("127.0.0.1", number)})("x")
    finally:
        if readyz is not None:
            await port.stopListening()
        await wheel.stopService()


async def test_a_ready_server_has_no_reason() -> None:
    assert await ask(Readyz()) is None


async def test_a_server_that_is_not_ready_says_why() -> None:
    page = Readyz()
    page.status, page.body = 503, b'{"status":"not ready","reason":"no healthy backend"}'
    assert await ask(page) == "no healthy backend"


@pytest.mark.parametrize("body", [b"nonsense", b"[]", b"{}"])
async def test_an_answer_without_a_reason_is_named_by_its_status(body: bytes) -> None:
    page = Readyz()
    page.status, page.body = 404, body
    assert await ask(page) == "/readyz answers 404"


async def test_a_server_that_does_not_listen_is_not_ready() -> None:
    assert await ask(None) == "it does not listen yet"
