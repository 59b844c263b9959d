"""Options of the microservice: what is refused, and how."""

import pytest

from scalability.config import Address, load
from scalability.errors import ConfigError
from scalability.microservice.config import Kind, MicroserviceOptions


def test_defaults_are_the_contract_s() -> None:
    config = MicroserviceOptions()
    assert config.listen == Address("127.0.0.1", 5001)
    assert (config.service_time_s, config.kind, config.concurrency) == (0.0, Kind.SLEEP, 100)


def test_values_are_read_as_text() -> None:
    config = load(MicroserviceOptions, flags={"service_time": "0.25", "kind": "spin", "concurrency": "3"}, environ={}, file=None)
    assert (config.service_time_s, config.kind, config.concurrency) == (0.25, Kind.SPIN, 3)


@pytest.mark.parametrize(
    ("key", "value", "why"),
    [
        ("kind", "walk", "sleep and spin"),
        ("service_time", "-1", "service-time"),
        ("service_time", "long", "service-time"),
        ("service_time", "nan", "service-time"),
        ("concurrency", "0", "concurrency"),
        ("concurrency", "1.5", "concurrency"),
        ("listen", "127.0.0.1:99999", "65535"),
    ],
)
def test_a_bad_value_is_named_with_its_reason(key: str, value: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        load(MicroserviceOptions, flags={key: value}, environ={}, file=None)


def test_the_environment_is_read() -> None:
    config = load(MicroserviceOptions, flags={}, environ={"SCALELAB_MICROSERVICE_SERVICE_TIME": "2"}, file=None)
    assert config.service_time_s == 2.0
