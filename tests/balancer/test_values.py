"""Values are written as they are read."""

import pytest

from scalability.balancer.values import Algorithm, PathOfURL
from scalability.upstream.selection import ALGORITHMS


@pytest.mark.parametrize("text", ["/", "/health", "/health?deep=1", "/a%20b"])
def test_paths_that_a_request_line_can_name_are_taken(text: str) -> None:
    assert str(PathOfURL.parse(text)) == text


@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_algorithm_is_written_as_it_is_read(name: str) -> None:
    assert str(Algorithm.parse(name)) == name
