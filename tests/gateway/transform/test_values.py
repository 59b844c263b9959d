"""Variables: every name has a value, or none is known."""

from scalability.gateway.exchange import GatewayExchange
from scalability.gateway.transform.templates import VARIABLES
from scalability.gateway.transform.values import values_of
from scalability.net.exchange import Exchange
from scalability.testing.played_application import Client, PlayedApplication


def test_every_variable_has_a_value() -> None:
    found: dict[str, bytes] = {}

    def answers(exchange: Exchange) -> None:
        assert isinstance(exchange, GatewayExchange)
        exchange.consumer, exchange.request_id = b"ann", b"1234"
        found.update(values_of(exchange, frozenset(VARIABLES), route=b"/api"))
        exchange.client_host = b"198.51.100.7"
        assert values_of(exchange, frozenset(["client_address"]), route=b"/") == {"client_address": b"198.51.100.7"}
        exchange.answer(200, b"")

    played = PlayedApplication(answers)
    assert Client(lambda network: played).ask("PUT", "/api/a?b").status == 200
    assert found == {
        "client_address": b"192.0.2.1",
        "consumer": b"ann",
        "host": b"gateway.example",
        "method": b"PUT",
        "path": b"/api/a",
        "request_id": b"1234",
        "route": b"/api",
        "scheme": b"http",
    }
