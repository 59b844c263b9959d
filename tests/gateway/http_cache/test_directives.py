"""Cache-Control: what is read from good fields, bad ones and targeted ones."""

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.gateway.http_cache.directives import (
    MAX_DELTA_S,
    NOTHING_ASKED,
    NOTHING_SAID,
    RequestDirectives,
    ResponseDirectives,
    delta_seconds,
    request_directives,
    response_directives,
)
from scalability.testing.messages import request, response


def said(*values: bytes) -> ResponseDirectives:
    return response_directives(response(*(b"Cache-Control: " + value for value in values)))


def asked(*values: bytes) -> RequestDirectives:
    return request_directives(request(*(b"Cache-Control: " + value for value in values)))


def test_without_fields_nothing_is_said() -> None:
    assert request_directives(request()) is NOTHING_ASKED
    assert response_directives(response()) is NOTHING_SAID


def test_every_response_directive_is_read() -> None:
    found = said(
        b"max-age=1, s-maxage=2, stale-while-revalidate=3, stale-if-error=4, public, no-transform",
        b"must-revalidate, proxy-revalidate, must-understand, no-store, no-cache, private",
    )
    assert found == ResponseDirectives(
        no_store=True,
        no_cache=True,
        private=True,
        public=True,
        must_revalidate=True,
        proxy_revalidate=True,
        must_understand=True,
        no_transform=True,
        max_age=1,
        s_maxage=2,
        stale_while_revalidate=3,
        stale_if_error=4,
    )


def test_every_request_directive_is_read() -> None:
    found = asked(b"no-cache, no-store, only-if-cached, no-transform, max-age=1, min-fresh=2, max-stale=3, stale-if-error=4")
    assert found == RequestDirectives(True, True, True, True, 1, 2, 3, 4)
    assert asked(b"max-stale").max_stale == MAX_DELTA_S


@pytest.mark.parametrize(
    "value", [b"MAX-AGE=5", b"Max-Age=5", b"max-age=5,NO-STORE", b"no-store ,\tmax-age=5", b",,max-age=5,, ,", b"max-age=005"]
)
def test_rfc9111_5_2_directives_are_compared_without_regard_to_case(value: bytes) -> None:
    """Cache directives are identified by a token, to be compared case-insensitively."""
    assert said(value).max_age == 5


@pytest.mark.parametrize("name", [b"max-age", b"s-maxage", b"stale-while-revalidate", b"stale-if-error"])
def test_rfc9111_5_2_both_argument_forms_are_accepted(name: bytes) -> None:
    """For the directives that define arguments, recipients ought to accept both forms (token and quoted-string)."""
    assert said(name + b"=7") == said(name + b'="7"') == said(name + b'="\\7"')


def test_rfc9111_5_2_3_unknown_directives_are_ignored() -> None:
    """A cache MUST ignore unrecognized cache directives."""
    assert said(
        b'max-age=5, foo, bar=1, baz="max-age=100, no-store", max-agent=9, x;y, "no-store", =, =3, max, \xe9'
    ) == ResponseDirectives(max_age=5)
    assert asked(b'foo="no-cache", immutable') == NOTHING_ASKED


@pytest.mark.parametrize(
    "value",
    [
        b"max-age",
        b"max-age=",
        b"max-age=-1",
        b"max-age=+1",
        b"max-age=1.5",
        b"max-age=abc",
        b"max-age =5",
        b"max-age= 5",
        b"max-age=5;x",
        b"max-age=5 6",
        b"max-age='5'",
        b'max-age="5',
        b'max-age=""',
        b"max-age=0x5",
        b"max-age=1e3",
        b'max-age="5"x',
        b"max-age=\xb2",
    ],
)
def test_rfc9111_4_2_1_an_invalid_lifetime_is_stale(value: bytes) -> None:
    """Caches are encouraged to consider responses that have invalid freshness information to be stale."""
    assert said(value) == ResponseDirectives(max_age=0)
    assert said(value.replace(b"max-age", b"s-maxage")) == ResponseDirectives(s_maxage=0)
    assert asked(value).max_age == 0


@pytest.mark.parametrize(
    ("values", "max_age"),
    [
        ((b"max-age=5, max-age=5",), 5),
        ((b"max-age=5", b"max-age=6"), 0),
        ((b"max-age=6, max-age=5",), 0),
        ((b"max-age=5, max-age=x",), 0),
        ((b"max-age=5, max-age=05",), 5),
    ],
)
def test_rfc9111_4_2_1_lifetimes_that_differ_are_stale(values: tuple[bytes, ...], max_age: int) -> None:
    """When there is more than one value present for a given directive, the first should be used or the response considered stale."""
    assert said(*values).max_age == max_age


def test_contradicting_directives_all_hold() -> None:
    """If directives conflict, the most restrictive directive should be honored (RFC 9111 section 4.2.1)."""
    found = said(b"public, private, max-age=100, no-cache, no-store")
    assert (found.no_store, found.private, found.no_cache) == (True, True, True)


@pytest.mark.parametrize(
    "value", [b"no-store=1", b"no-store=", b"no-store;", b'no-store="', b"NO-STORE=x y", b'a="b, no-store', b'max-age="5, no-store, a="b"']
)
def test_a_malformed_prohibition_holds(value: bytes) -> None:
    assert said(value).no_store
    assert said(value.replace(b"no-store", b"must-revalidate").replace(b"NO-STORE", b"must-revalidate")).must_revalidate
    assert asked(value).no_store


@pytest.mark.parametrize(
    "value",
    [
        b"public=1",
        b"public=",
        b"public x",
        b"must-understand=x",
        b'stale-while-revalidate="5',
        b'a="b, public, stale-if-error=9, max-age=9',
    ],
)
def test_a_malformed_permission_does_not(value: bytes) -> None:
    found = said(value)
    assert not found.public
    assert not found.must_understand
    assert not found.stale_while_revalidate
    assert not found.stale_if_error
    assert not found.max_age


def test_of_several_permissions_the_smallest_and_of_several_demands_the_largest_counts() -> None:
    assert said(b"stale-if-error=5, stale-if-error=9").stale_if_error == 5
    assert asked(b"max-stale, max-stale=4").max_stale == 4
    assert asked(b"max-stale=x").max_stale == 0
    assert asked(b"min-fresh=5, min-fresh=9").min_fresh == 9
    assert asked(b"min-fresh=x").min_fresh == MAX_DELTA_S


@pytest.mark.parametrize("digits", [b"2147483648", b"2147483649", b"99999999999", b"9" * 5000, b"0" * 5000 + b"9" * 11])
def test_rfc9111_1_2_2_a_number_that_is_too_large_counts_as_2_to_the_31(digits: bytes) -> None:
    """If a delta-seconds value is greater than the greatest integer it can represent, the cache MUST consider it to be 2147483648."""
    assert delta_seconds(digits) == MAX_DELTA_S == 2147483648
    assert said(b"max-age=" + digits).max_age == MAX_DELTA_S


@pytest.mark.parametrize(
    ("value", "whole", "names"),
    [
        (b"", True, set()),
        (b'="a"', False, {b"a"}),
        (b'="Set-Cookie, X-b"', False, {b"set-cookie", b"x-b"}),
        (b"=foo", False, {b"foo"}),
        (b'=""', True, set()),
        (b'=" , "', True, set()),
        (b'="a b"', True, set()),
        (b"=", True, set()),
        (b'="a', True, set()),
    ],
)
def test_rfc9111_5_2_2_4_and_7_qualified_forms_name_fields(value: bytes, whole: bool, names: set[bytes]) -> None:
    """The qualified form of no-cache and private has an argument that lists one or more field names, case-insensitive."""
    found = said(b"no-cache" + value)
    assert (found.no_cache, found.no_cache_fields) == (whole, frozenset(names))
    found = said(b"private" + value)
    assert (found.private, found.private_fields) == (whole, frozenset(names))


def test_the_unqualified_form_beside_the_qualified_one_holds() -> None:
    found = said(b'private="a", private, no-cache, no-cache="b"')
    assert found.private
    assert found.no_cache


def test_rfc9111_5_4_pragma_counts_in_requests_without_cache_control() -> None:
    assert request_directives(request(b"Pragma: x, No-Cache")).no_cache
    assert not request_directives(request(b"Pragma: no-cache", b"Cache-Control: max-age=5")).no_cache
    assert not request_directives(request(b"Pragma: foo")).no_cache
    assert response_directives(response(b"Pragma: no-cache")) is NOTHING_SAID


# RFC 9213


def targeted(*lines: bytes) -> ResponseDirectives:
    return response_directives(response(*lines))


def test_rfc9213_2_2_the_first_valid_targeted_field_wins() -> None:
    """The cache MUST select the first (in target-list order) field with a valid, non-empty value, and ignore Cache-Control and Expires."""
    lines = [b"CDN-Cache-Control: max-age=2", b"Scalelab-Cache-Control: max-age=1", b"Cache-Control: no-store, max-age=3"]
    assert targeted(*lines) == ResponseDirectives(max_age=1, target=b"scalelab-cache-control")
    assert targeted(lines[0], lines[2]) == ResponseDirectives(max_age=2, target=b"cdn-cache-control")
    assert targeted(lines[2]) == ResponseDirectives(max_age=3, no_store=True)
    assert targeted(lines[2], b"CDN-Cache-Control: none") == ResponseDirectives(target=b"cdn-cache-control")


@pytest.mark.parametrize(
    "value", [b"", b" ", b"max-age=2,", b"max-age =2", b"max-age= 2", b"Max-Age=2", b"max-age=2;", b"a=(", b"max-age=99999999999999999"]
)
def test_rfc9213_2_1_an_empty_or_invalid_targeted_field_is_ignored(value: bytes) -> None:
    """If a targeted field in a given response is empty, or a parsing error is encountered, that field MUST be ignored by the cache."""
    assert targeted(b"Scalelab-Cache-Control: " + value, b"CDN-Cache-Control: max-age=2").target == b"cdn-cache-control"
    assert targeted(b"CDN-Cache-Control: " + value, b"Cache-Control: max-age=3") == ResponseDirectives(max_age=3)


def test_rfc9213_2_2_fields_not_on_the_target_list_change_nothing() -> None:
    """Targeted fields that are not on a cache's target list MUST NOT change that cache's behavior."""
    assert targeted(b"Other-Cache-Control: no-store", b"Cache-Control: max-age=3") == ResponseDirectives(max_age=3)
    assert response_directives(response(b"CDN-Cache-Control: no-store"), ()) is NOTHING_SAID


@pytest.mark.parametrize(
    "value", [b'max-age="5"', b"max-age=5.0", b"max-age", b"max-age=-5", b"max-age=abc", b"max-age=:NQ==:", b"max-age=(5)"]
)
def test_rfc9213_2_1_values_of_another_type_are_not_consumed(value: bytes) -> None:
    """Implementations SHOULD NOT consume values that violate these inferred constraints."""
    assert targeted(b"CDN-Cache-Control: " + value) == ResponseDirectives(max_age=0, target=b"cdn-cache-control")


def test_rfc9213_2_1_parameters_are_ignored() -> None:
    """Parameters received on cache directives are to be ignored."""
    assert targeted(b"CDN-Cache-Control: max-age=5;x=9, public;y").max_age == 5


def test_rfc9213_2_2_the_directives_that_must_be_implemented_are() -> None:
    """Caches that use a targeted field MUST implement max-age, must-revalidate, no-store, no-cache, private."""
    found = targeted(b'CDN-Cache-Control: max-age=5, must-revalidate, no-store, no-cache="a, b", private=?0, stale-if-error=6')
    assert found == ResponseDirectives(
        max_age=5,
        must_revalidate=True,
        no_store=True,
        no_cache_fields=frozenset([b"a", b"b"]),
        stale_if_error=6,
        target=b"cdn-cache-control",
    )
    assert targeted(b"CDN-Cache-Control: private, no-cache").private


def test_targeted_lines_are_one_dictionary_and_its_last_value_counts() -> None:
    assert targeted(b"CDN-Cache-Control: max-age=5", b"CDN-Cache-Control: max-age=6").max_age == 6


FRAGMENTS = st.lists(
    st.sampled_from(
        [
            b"max-age",
            b"no-store",
            b"private",
            b"no-cache",
            b"=",
            b'"',
            b",",
            b" ",
            b"\t",
            b"\\",
            b"5",
            b"x",
            b";",
            b"\xe9",
            b"public",
            b"s-maxage",
        ]
    ),
    max_size=30,
).map(b"".join)


@given(FRAGMENTS | st.binary(max_size=60).map(lambda value: bytes(octet for octet in value if octet > 31 and octet != 127)))
def test_nothing_makes_the_parsers_fail(value: bytes) -> None:
    for found in (said(value), targeted(b"CDN-Cache-Control: " + value)):
        assert found.max_age is None or 0 <= found.max_age <= MAX_DELTA_S
    asked(value)


@given(FRAGMENTS)
def test_a_lone_prohibition_is_found_before_any_garbage(value: bytes) -> None:
    assert said(b"no-store, " + value).no_store
    assert said(value, b"no-store").no_store


@pytest.mark.parametrize("piece", [b'"\\",', b'x="\\",', b'"', b",", b"=", b'a="', b'"x",', b"\\"])
def test_hostile_fields_cost_their_length(piece: bytes) -> None:
    value = piece * (30_000 // len(piece))
    began = process_time()
    said(value)
    targeted(b"CDN-Cache-Control: " + value)
    assert process_time() - began < 1
