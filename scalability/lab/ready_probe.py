"""Asks an admin listener's ``/readyz``."""

from collections.abc import Mapping
from typing import Any

import msgspec
from twisted.internet.defer import Deferred

from scalability.config import Address
from scalability.errors import ConnectError, ScalelabError
from scalability.lab.readiness import Ask
from scalability.lifecycle import DeadlineWheel
from scalability.net.service_client import ServiceClient

TIMEOUT_S = 2.0


def asks(reactor: Any, wheel: DeadlineWheel, admins: Mapping[str, Address]) -> Ask:
    """How ``ReadinessWatch`` asks the servers whose admin listeners these are; ``wheel`` must run. One fresh connection a question:

    a connection that is kept would outlive the process it led to.
    """

    async def ask(name: str) -> str | None:
        client = ServiceClient(reactor, admins[name], wheel, timeout_s=TIMEOUT_S)
        try:
            answer = await client.request(b"GET", b"/readyz", [(b"connection", b"close")])
        except ConnectError:
            return "it does not listen yet"
        except ScalelabError as error:
            return str(error)
        finally:
            client.close()
        return None if answer.status == 200 else _reason(answer.status, answer.body)

    return lambda name: Deferred.fromCoroutine(ask(name))


def _reason(status: int, body: bytes) -> str:
    try:
        reason = msgspec.json.decode(body)["reason"]
    except (msgspec.DecodeError, KeyError, TypeError):
        return f"/readyz answers {status}"
    return str(reason)
