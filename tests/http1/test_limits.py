"""Defaults that a user can notice (docs/http_rules.md, rule 27)."""

import dataclasses

import pytest

from scalability.http1 import DEFAULT_LIMITS, Limits


def test_the_defaults_are_those_of_the_rules() -> None:
    assert Limits() == Limits(
        max_target_bytes=8192,
        max_head_bytes=32768,
        max_fields=100,
        max_chunk_line_bytes=4096,
        max_trailer_bytes=8192,
        max_body_bytes=1 << 30,
        underscore_names=False,
    )
    assert Limits() == DEFAULT_LIMITS


def test_limits_cannot_be_changed_under_a_running_connection() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        DEFAULT_LIMITS.max_fields = 7  # type: ignore[misc]  # the point of the test
