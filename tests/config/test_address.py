"""HOST:PORT, right and wrong."""

import pytest

from scalability.config.address import Address, port_of


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:8000", "127.0.0.1", 8000),
        ("0.0.0.0:0", "0.0.0.0", 0),
        (":5000", "127.0.0.1", 5000),
        ("gateway_1.local:65535", "gateway_1.local", 65535),
        ("[::1]:80", "::1", 80),
        ("[::ffff:1.2.3.4]:80", "::ffff:1.2.3.4", 80),
        ("a-b:00080", "a-b", 80),
    ],
)
def test_an_address_is_host_and_port(text: str, host: str, port: int) -> None:
    assert Address.parse(text) == (host, port)


@pytest.mark.parametrize("text", ["127.0.0.1:8000", "[::1]:80", "name:0"])
def test_an_address_is_written_as_it_is_read(text: str) -> None:
    assert str(Address.parse(text)) == text


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not HOST:PORT"),
        ("nonsense", "is not HOST:PORT"),
        ("8000", "is not HOST:PORT"),
        ("http://a:80", "is not HOST:PORT"),
        ("a b:80", "is not HOST:PORT"),
        (" a:80", "is not HOST:PORT"),
        ("a/b:80", "is not HOST:PORT"),
        ("user@a:80", "is not HOST:PORT"),
        ("a,b:80", "is not HOST:PORT"),
        ("-a:80", "is not HOST:PORT"),
        ("caf\xe9:80", "is not HOST:PORT"),
        ("a\n:80", "is not HOST:PORT"),
        ("a:", "the port '' is not a number"),
        ("a:http", "the port 'http' is not a number"),
        ("a:-1", "the port '-1' is not a number"),
        ("a:8 0", "the port '8 0' is not a number"),
        ("a:\u0663", "is not a number"),
        ("a:65536", "the port 65536 is above 65535"),
        ("a:" + "9" * 5000, "is above 65535"),
        ("::1:80", "write an IPv6 address in brackets, as"),
        ("[::1:80", "write an IPv6 address in brackets, as"),
        ("[]:80", "is not an IPv6 address"),
        ("[name]:80", "is not an IPv6 address"),
    ],
)
def test_what_is_no_address_is_refused_with_the_reason(text: str, why: str) -> None:
    with pytest.raises(ValueError) as caught:
        Address.parse(text)
    assert why in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_port_is_from_0_to_65535() -> None:
    assert (port_of("0"), port_of("65535")) == (0, 65535)
    for text in ("65536", "1.0", "+1", "0x50", ""):
        with pytest.raises(ValueError, match="the port"):
            port_of(text)
