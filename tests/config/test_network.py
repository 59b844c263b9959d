"""Networks as flags write them."""

import pytest

from scalability.config import Network


@pytest.mark.parametrize("text", ["10.0.0.0/8", "192.0.2.7", "fd00::/8", "::1", "0.0.0.0/0"])
def test_networks_and_addresses_are_read_and_written_the_same(text: str) -> None:
    assert str(Network.parse(text)) == text


def test_one_address_is_a_network_of_one() -> None:
    assert Network.parse("192.0.2.7").addresses.num_addresses == 1
    assert str(Network.parse("192.0.2.7/32")) == "192.0.2.7"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("10.1.2.3/8", "is 10.0.0.0/8 meant"),
        ("10.0.0.0/33", "neither an IP address"),
        ("localhost", "neither an IP address"),
        ("", "neither"),
        ("10.0.0", "neither"),
        ("10.0.0.0/8,fd00::/8", "neither"),
    ],
)
def test_anything_else_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Network.parse(text)
