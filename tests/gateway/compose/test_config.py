"""What the table may say, and what is refused with a reason."""

import tomllib

import msgspec
import pytest

from scalability.gateway.compose.config import ComposeOptions


def compose(text: str) -> ComposeOptions:
    return msgspec.convert(tomllib.loads(text), ComposeOptions)


PART = '{name = "user", target = "/users/{id}"}'


def test_a_table_of_everything_is_read() -> None:
    options = compose("""
        path = "/pages/{id}"
        timeout = 0.5
        query = ["lang"]
        fields = ["Authorization", "Cookie"]
        [[parts]]
        name = "user"
        target = "/users/{id}?full=1"
        pick = ["name"]
        [[parts]]
        name = "orders"
        target = "/orders/of/{id}"
        group = "orders"
        fallback = []
        [[parts]]
        name = "news"
        target = "/news"
        required = false
        query = []
    """)
    assert [part.must_succeed for part in options.parts] == [True, False, False]
    assert options.parts[1].fallback == []


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (f'path = "pages"\nparts = [{PART}]', "does not begin with /"),
        (f'path = "/pages"\nparts = [{PART}]', "needs id, which /pages does not have"),
        ('path = "/pages"\nparts = []', "length >= 1"),
        ('path = "/p"\nparts = [' + ", ".join(f'{{name = "p{n}", target = "/x"}}' for n in range(33)) + "]", "length <= 32"),
        (f'path = "/pages/{{id}}"\nparts = [{PART}, {PART}]', "two parts have the name user"),
        ('path = "/p"\nparts = [{name = "a", target = "/a", group = "g"}, {name = "b", target = "/b", group = "g"}]', "the group g"),
        ('path = "/p"\nparts = [{name = "a", target = "/a", required = true, group = "g", fallback = 1}]', "no fallback"),
        ('path = "/p"\nparts = [{name = "a", target = "/a", fallback = 1}]', "must be a table"),
        ('path = "/p"\nparts = [{name = "a", target = "http://evil/a"}]', "does not begin with /"),
        ('path = "/p"\nparts = [{name = "a", target = "/a", pick = []}]', "pick names nothing"),
        ('path = "/p"\nfields = ["Content-Length"]\nparts = [{name = "a", target = "/a"}]', "'Content-Length' cannot be passed on"),
        ('path = "/p"\nfields = ["X:"]\nparts = [{name = "a", target = "/a"}]', "cannot be passed on"),
        ('path = "/p"\ntimeout = 0\nparts = [{name = "a", target = "/a"}]', "> 0"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_place(text: str, why: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=why):
        compose(text)
