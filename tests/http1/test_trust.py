"""Who is believed, and who the client is (rule 45)."""

import time
from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.http1.limits import DEFAULT_LIMITS
from scalability.http1.request_head import RequestHead, parse_request_head
from scalability.http1.trust import MAX_HOPS, NOBODY, Networks, address_of, client_of, forwarded_element

TRUSTED = Networks([ip_network("10.0.0.0/8"), ip_network("fd00::/8")])


def request(*lines: bytes) -> RequestHead:
    return parse_request_head(b"\r\n".join([b"GET / HTTP/1.1", b"Host: a", *lines]) + b"\r\n\r\n", DEFAULT_LIMITS)


def client(*chain: bytes, peer: bytes = b"10.0.0.1") -> bytes:
    return client_of(peer, request(*(b"X-Forwarded-For: " + line for line in chain)), TRUSTED)


def forwarded_client(*chain: bytes, peer: bytes = b"10.0.0.1") -> bytes:
    return client_of(peer, request(*(b"Forwarded: " + line for line in chain)), TRUSTED)


@pytest.mark.parametrize("host", [b"10.255.0.1", b"::ffff:10.1.1.1", b"fd12::1", b"fd12::1%eth0"])
def test_an_address_in_a_network_is_in_it(host: bytes) -> None:
    assert host in TRUSTED


@pytest.mark.parametrize("host", [b"11.0.0.1", b"fe80::1", b"unknown", b"", b"10.0.0.1:80", b"\xff", b"10.0.0.01", b" 10.0.0.1"])
def test_everything_else_is_not(host: bytes) -> None:
    assert host not in TRUSTED


def test_nobody_holds_no_address_and_is_false() -> None:
    assert b"127.0.0.1" not in NOBODY
    assert not NOBODY
    assert TRUSTED


def test_rule_45_the_client_is_the_right_most_address_that_is_not_trusted() -> None:
    assert client(b"6.6.6.6, 7.7.7.7, 10.9.9.9") == b"7.7.7.7"
    assert client(b"6.6.6.6", b"7.7.7.7", b"10.9.9.9,10.8.8.8") == b"7.7.7.7"
    assert client(b"2001:db8::7, fd00::1") == b"2001:db8::7"


def test_rule_45_an_untrusted_peer_is_the_client_whatever_it_says() -> None:
    assert client(b"7.7.7.7", peer=b"8.8.8.8") == b"8.8.8.8"


def test_rule_45_of_trusted_addresses_only_the_left_most_is_the_client() -> None:
    assert client(b"10.0.0.3, 10.0.0.2") == b"10.0.0.3"
    assert client() == b"10.0.0.1"


@pytest.mark.parametrize("odd", [b"unknown", b"_hidden", b"", b"7.7.7", b"evil.example", b"1.2.3.4, ", b"a b"])
def test_rule_45_what_is_no_address_ends_the_chain(odd: bytes) -> None:
    assert client(b"7.7.7.7, " + odd + b", 10.0.0.2") == b"10.0.0.2"


def test_ports_and_brackets_are_left_out() -> None:
    assert client(b"7.7.7.7:4711") == b"7.7.7.7"
    assert client(b"[2001:db8::7]:4711, [fd00::1]") == b"2001:db8::7"


def test_a_chain_is_followed_for_so_many_hops_only() -> None:
    assert client(b"7.7.7.7, " + b", ".join([b"10.0.0.2"] * (MAX_HOPS - 1))) == b"7.7.7.7"
    assert client(b"7.7.7.7, " + b", ".join([b"10.0.0.2"] * MAX_HOPS)) == b"10.0.0.2"


def test_forwarded_counts_where_x_forwarded_for_is_missing() -> None:
    assert forwarded_client(b'for=6.6.6.6, For="7.7.7.7:80";proto=http;by=10.0.0.9, for=10.0.0.2') == b"7.7.7.7"
    assert forwarded_client(b'proto=https;for="[2001:db8::7]:1"') == b"2001:db8::7"
    both = request(b"Forwarded: for=6.6.6.6", b"X-Forwarded-For: 7.7.7.7")
    assert client_of(b"10.0.0.1", both, TRUSTED) == b"7.7.7.7"


@pytest.mark.parametrize(
    "odd",
    [b"for=unknown", b"for=_x", b"proto=http", b"for=6.6.6.6;for=7.7.7.7", b'for="6.6.6.6', b'for="a,b"', b"for=6.6.6.6 x", b""],
)
def test_what_forwarded_does_not_tell_plainly_ends_the_chain(odd: bytes) -> None:
    assert forwarded_client(b"for=7.7.7.7, " + odd) == b"10.0.0.1"


def test_a_quotation_that_does_not_end_hides_nothing_to_its_right() -> None:
    assert forwarded_client(b'for="6.6.6.6;x, for=7.7.7.7') == b"7.7.7.7"
    assert forwarded_client(b'for="6.6.6.6", for="x, for=7.7.7.7') == b"7.7.7.7"


@pytest.mark.parametrize("piece", [b'"\\', b'\\"', b'"', b'for="', b'"a",', b'"\\"'])
def test_reading_forwarded_takes_time_in_proportion_to_its_length(piece: bytes) -> None:
    def cost_s(length: int) -> float:
        head = request(b"Forwarded: " + piece * (length // len(piece)))
        times = []
        for _ in range(5):
            began = time.perf_counter()
            client_of(b"10.0.0.1", head, TRUSTED)
            times.append(time.perf_counter() - began)
        return min(times)

    # its square would be 256 times as much
    assert cost_s(32_000) < 64 * cost_s(2_000) + 0.002


def test_our_own_element_quotes_what_must_be_quoted_and_is_read_back() -> None:
    assert forwarded_element(b"1.2.3.4", b"http", b"a:80") == b'for=1.2.3.4;host="a:80";proto=http'
    assert forwarded_element(b"fe80::1%eth0", b"https", b"") == b'for="[fe80::1]";proto=https'
    assert forwarded_element(b"unknown", b"http", b"") == b"for=unknown;proto=http"
    for host in (b"7.7.7.7", b"2001:db8::7"):
        assert forwarded_client(forwarded_element(host, b"http", b"a:80")) == host


@given(
    st.lists(st.text(alphabet='17.0:,[]; "=forunkw', max_size=30).map(str.encode), max_size=4),
    st.sampled_from([b"X-Forwarded-For", b"Forwarded"]),
)
def test_whatever_stands_there_the_client_is_an_address(lines: list[bytes], name: bytes) -> None:
    head = request(*(name + b": " + line for line in lines))
    assert address_of(client_of(b"10.0.0.1", head, TRUSTED)) is not None
    assert client_of(b"9.9.9.9", head, TRUSTED) == b"9.9.9.9"
