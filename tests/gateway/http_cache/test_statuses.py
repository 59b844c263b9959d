"""Statuses: which are understood, which are never stored, and which answer a field of one request."""

import pytest

from scalability.gateway.http_cache.statuses import ABOUT_FIELDS, NEVER_STORED, UNDERSTOOD, is_about, says_what_there_is
from scalability.testing.messages import request


def test_what_is_understood_is_storable() -> None:
    assert not UNDERSTOOD & NEVER_STORED


@pytest.mark.parametrize("status", [100, 199, 207, 299, 304, 305, 306, 399, 418, 420, 499, 506, 599, 999])
def test_what_no_rfc_says_of_caches_is_not_understood(status: int) -> None:
    assert status not in UNDERSTOOD


@pytest.mark.parametrize(("status", "name"), [(status, name) for status, names in ABOUT_FIELDS.items() for name in names])
def test_a_status_is_about_the_field_that_it_answers(status: int, name: bytes) -> None:
    assert is_about(status, request(name + b": 100-continue"))
    assert not is_about(status, request(b"X-Other: x"))
    assert not is_about(200, request(name + b": 100-continue"))


def test_which_statuses_tell_what_the_resource_is_now() -> None:
    for status in (200, 203, 204, 299, 301, 302, 308, 404, 410):
        assert says_what_there_is(status)
    for status in (103, 206, 304, 400, 401, 403, 412, 416, 429, 451, 500, 503, 599):
        assert not says_what_there_is(status)
