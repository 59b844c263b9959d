"""What a route may say."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from scalability.config.load import dump, load, render
from scalability.errors import ConfigError
from scalability.gateway.config import GatewayOptions
from scalability.gateway.routing.config import Prefix, RouteFlag, RouteOptions, route_of


@pytest.mark.parametrize(("text", "path"), [("/", "/"), ("/a", "/a"), ("/a/", "/a"), ("/a/b%20c", "/a/b%20c"), ("/a.b/~c", "/a.b/~c")])
def test_a_prefix_is_a_path_of_whole_segments(text: str, path: str) -> None:
    assert Prefix.parse(text).path == path


@pytest.mark.parametrize("text", ["", "a", "/a?b", "/a#b", "/a b", "//a", "/a//b", "/a/../b", "/.", "/\xe9", "/a\n", "/{x}"])
def test_what_is_no_prefix_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a path|has an empty segment"):
        Prefix.parse(text)


def test_a_flag_names_a_prefix_and_a_server() -> None:
    flag = RouteFlag.parse("/shop/=http://10.0.0.1:8080/")
    assert str(flag) == "/shop=http://10.0.0.1:8080"
    route = route_of(flag)
    assert (route.path, [str(backend) for backend in route.backends]) == ("/shop", ["10.0.0.1:8080"])


@pytest.mark.parametrize("text", ["/shop", "shop=http://a:1", "/shop=ftp://a:1", "/shop=http://a:1/b", "=http://a:1", "/shop="])
def test_a_flag_that_is_no_route_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        RouteFlag.parse(text)


def test_a_table_names_several_servers() -> None:
    route = msgspec.convert(
        {"prefix": "/a", "servers": ["h:1,weight=3", "dns:shop.test:80", "h:2,backup"], "strip_prefix": True}, RouteOptions
    )
    assert [str(backend) for backend in route.backends] == ["h:1,weight=3", "dns:shop.test:80", "h:2,backup"]
    assert route.strip_prefix


@pytest.mark.parametrize(
    ("table", "why"),
    [
        ({"prefix": "/a"}, "needs servers, or the url"),
        ({"prefix": "/a", "servers": ["h:1"], "url": "http://h:2"}, "not both"),
        ({"prefix": "a", "url": "http://h:2"}, "not a path"),
        ({"url": "http://h:2"}, "missing required field"),
        ({"prefix": "/a", "servers": ["h:1", "h:1,weight=2"]}, "named twice"),
        ({"prefix": "/a", "servers": ["h:1,weight=x"]}, "weight must be a whole number"),
        ({"prefix": "/a", "url": "https://h:2"}, "is not an http:// URL"),
        ({"prefix": "/a", "url": "http://h:2", "strip": True}, "unknown field"),
    ],
)
def test_a_table_that_is_no_route_is_refused_with_the_reason(table: dict[str, Any], why: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=why):
        msgspec.convert(table, RouteOptions)


def options(tmp_path: Path, text: str, **flags: Any) -> GatewayOptions:
    file = tmp_path / "lab.toml"
    file.write_text(text)
    return load(GatewayOptions, flags=flags, environ={}, file=file)


def test_routes_of_the_file_and_of_flags_are_there_together_and_are_printed_as_they_are_read(tmp_path: Path) -> None:
    text = '[gateway]\n[[gateway.routes]]\nprefix = "/a"\nservers = ["h:1", "h:2,weight=2"]\n'
    known = options(tmp_path, text, route=["/b=http://h:3"])
    assert [route.path for route in known.all_routes] == ["/b", "/a"]
    told = dump(known)["routes"][0]
    assert (told["prefix"], told["servers"], told["upstream"]["retries"]) == ("/a", ["h:1", "h:2,weight=2"], 2)
    assert options(tmp_path, render(known)).all_routes == known.all_routes


def test_two_routes_of_one_prefix_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="/a has two routes"):
        options(tmp_path, '[[gateway.routes]]\nprefix = "/a/"\nurl = "http://h:1"\n', route=["/a=http://h:3"])


def test_a_bad_route_is_one_line_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        options(tmp_path, '[[gateway.routes]]\nprefix = "/a"\nurl = "http://h:1"\nservers = ["x"]\n')
    assert "[gateway] routes" in str(caught.value)
    assert "\n" not in str(caught.value)
