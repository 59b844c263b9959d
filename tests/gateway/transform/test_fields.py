"""Fields are set, added and removed; framing and the proxy's own fields are out of reach."""

import pytest

from scalability.gateway.transform.fields import answer_rules, request_rules

FIELDS = [(b"X-A", b"1"), (b"x-a", b"2"), (b"X-B", b"3")]


def test_set_replaces_every_field_of_the_name() -> None:
    rules = request_rules([], {"X-a": "new"}, {})
    assert rules.apply(FIELDS, {}) == [(b"X-B", b"3"), (b"X-a", b"new")]


def test_add_adds_and_remove_removes() -> None:
    rules = answer_rules(["x-B"], {}, {"X-A": "${route}"})
    assert rules.apply(FIELDS, {"route": b"/r"}) == [(b"X-A", b"1"), (b"x-a", b"2"), (b"X-A", b"/r")]
    assert rules.variables == {"route"}
    assert rules
    assert not answer_rules([], {}, {})


def test_set_removes_what_a_client_claims_even_where_there_is_nothing_to_say() -> None:
    rules = request_rules([], {"X-Consumer": "${consumer}"}, {})
    assert rules.apply([(b"x-consumer", b"admin"), (b"X-B", b"3")], {}) == [(b"X-B", b"3")]


@pytest.mark.parametrize(
    "name",
    [
        "Connection", "keep-alive", "TE", "Transfer-Encoding", "upgrade", "Content-Length", "Trailer", "Host", "Via", "Date",
        "Content-Encoding", "Content-Range", "Proxy-Authorization", "X-Request-Id",
    ],
)  # fmt: skip
def test_framing_and_hop_by_hop_fields_are_refused(name: str) -> None:
    for rules in (request_rules, answer_rules):
        for remove, replaced, added in (([name], {}, {}), ([], {name: "x"}, {}), ([], {}, {name: "x"})):
            with pytest.raises(ValueError, match="cannot be rewritten"):
                rules(remove, replaced, added)


@pytest.mark.parametrize("name", ["Expect", "X-Forwarded-For", "x-forwarded-anything", "Forwarded", "X-Real-IP", "traceparent", "Range"])
def test_what_the_proxy_writes_anew_cannot_be_set_in_requests(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be rewritten"):
        request_rules([], {name: "x"}, {})


@pytest.mark.parametrize("name", ["", "a b", "a:", "a\r\nb", "é", "a\x00", "x" * 257])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="not the name of a field"):
        answer_rules([name], {}, {})


@pytest.mark.parametrize("value", ["a\r\nSet-Cookie: b", "a\nb", "\x00", "${nobody}"])
def test_what_is_no_value_is_refused_with_its_name(value: str) -> None:
    with pytest.raises(ValueError, match="X-A: "):
        answer_rules([], {}, {"X-A": value})


def test_what_depends_on_the_client_is_set_apart_and_never_added() -> None:
    shared, own = answer_rules(["X-R"], {"X-A": "${path}", "X-B": "${consumer} ${path}"}, {"X-C": "${route}"}).split()
    assert [name for name, _ in shared.set] == [b"X-A"]
    assert [name for name, _ in own.set] == [b"X-B"]
    assert (sorted(shared.remove), sorted(own.remove), len(shared.add), len(own.add)) == ([b"x-r"], [], 1, 0)
    with pytest.raises(ValueError, match="can be set in answers, and not added"):
        answer_rules([], {}, {"X-A": "${consumer}"})


def test_vary_is_only_added_to() -> None:
    assert answer_rules([], {}, {"Vary": "X-A"}).apply([(b"Vary", b"Origin")], {}) == [(b"Vary", b"Origin"), (b"Vary", b"X-A")]
    with pytest.raises(ValueError, match="only be added"):
        answer_rules(["vary"], {}, {})
    with pytest.raises(ValueError, match="only be added"):
        answer_rules([], {"VARY": "x"}, {})
