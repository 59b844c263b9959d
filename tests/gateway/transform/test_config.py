"""What the tables may say, and what is refused with a reason."""

import tomllib
from typing import Any

import msgspec
import pytest

from scalability.gateway.transform import config
from scalability.gateway.transform.codings import ENCODERS
from scalability.gateway.transform.config import CompressionOptions, RewriteOptions


def rewrite(text: str) -> RewriteOptions:
    return msgspec.convert(tomllib.loads(text), RewriteOptions)


def compression(**table: Any) -> CompressionOptions:
    return msgspec.convert(table, CompressionOptions)


def test_a_table_of_everything_is_read() -> None:
    options = rewrite("""
        replace_prefix = "/v2"
        request = {remove = ["X-Debug"], set = {X-Consumer = "${consumer}"}}
        [answer]
        remove = ["Server"]
        add = {Link = "<${route}>; rel=up"}
    """)
    assert options.replace_prefix == "/v2"
    assert options.request_rules().variables == {"consumer"}
    assert options.answer_rules().apply([(b"Server", b"x")], {"route": b"/r"}) == [(b"Link", b"</r>; rel=up")]


def test_nothing_changes_by_default() -> None:
    options = rewrite("")
    assert options.replace_prefix is None
    assert not options.request_rules()
    assert not options.answer_rules()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ('request = {set = {Content-Length = "0"}}', "Content-Length: belongs to the framing"),
        ('answer = {add = {X-A = "a\\r\\nb: c"}}', "X-A: .* printable"),
        ('answer = {add = {X-A = "${nobody}"}}', "there is no variable nobody"),
        ('replace_prefix = "v2"', "not a path"),
        ('replace_prefx = "/v2"', "unknown field `replace_prefx`"),
        ("request = {remove = [" + ", ".join(f'"X-{n}"' for n in range(65)) + "]}", "more than 64 fields"),
    ],
)
def test_what_cannot_be_done_is_refused_with_its_place(text: str, why: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=why):
        rewrite(text)


def test_all_installed_codings_are_offered_the_best_first() -> None:
    assert compression().offered() == (b"br", b"zstd", b"gzip")
    assert compression(codings=["gzip", "br"]).offered() == (b"gzip", b"br")
    assert b"model/gltf+x" in compression(types=["model/gltf+x"]).compressible()


def test_a_coding_without_its_library_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "ENCODERS", {b"gzip": ENCODERS[b"gzip"]})
    assert compression().offered() == (b"gzip",)
    with pytest.raises(msgspec.ValidationError, match=r"br needs a library .*scalelab\[compression\]"):
        compression(codings=["br"])


@pytest.mark.parametrize(
    "table", [{"codings": ["lzw"]}, {"codings": ["gzip", "gzip"]}, {"min_bytes": -1}, {"types": ["html"]}, {"max_at_once": 0}]
)
def test_bad_values_are_refused(table: dict[str, Any]) -> None:
    with pytest.raises(msgspec.ValidationError):
        compression(**table)
