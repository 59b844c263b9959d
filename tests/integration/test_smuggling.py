"""The tricks of request smuggling, as raw bytes through a real balancer to a server that records what reaches it.

Whatever the balancer lets pass must mean the same to everybody: h11 reads it again on the other side, strictly, and finds exactly the
requests that the case says, each answered. Everything else is refused, and not one complete request of it arrives.
"""

import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

import h11
import pytest

from scalability.testing.processes import Process

TIMEOUT_S = 20.0
STRICT_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+: (?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?")
EVIL = b"GET /evil HTTP/1.1\r\nHost: evil\r\n\r\n"


class Case(NamedTuple):
    """Bytes of a client, the statuses that it reads, and what reaches the server: ``METHOD target host body``."""

    name: str
    sent: bytes
    statuses: list[int]
    forwarded: list[bytes]


def post(fields: bytes, body: bytes = b"", version: bytes = b"1.1") -> bytes:
    return b"POST /a HTTP/" + version + b"\r\nHost: h\r\n" + fields + b"\r\n\r\n" + body


def get(target: bytes = b"/a", fields: bytes = b"Host: h\r\n", version: bytes = b"HTTP/1.1", method: bytes = b"GET") -> bytes:
    return method + b" " + target + b" " + version + b"\r\n" + fields + b"\r\n"


def refused(name: str, sent: bytes, status: int = 400) -> Case:
    return Case(name, sent, [status], [])


def passed(name: str, sent: bytes, *forwarded: bytes) -> Case:
    return Case(name, sent, [200] * len(forwarded), list(forwarded))


A = b"GET /a h "
HELLO = b"POST /a h hello"
LENGTH_OF_EVIL = b"Host: h\r\nContent-Length: %d\r\n" % len(EVIL)
CHUNKED_EVIL = b"%x\r\n" % len(EVIL) + EVIL + b"\r\n0\r\n\r\n"
SMUGGLING = b"0\r\n\r\n" + EVIL
"""Ends a chunked body at once; read by a length, it holds another request."""
HELLO_CHUNKED = b"5\r\nhello\r\n0\r\n\r\n"


def chunked(name: str, body: bytes, *forwarded: bytes, statuses: list[int] | None = None) -> Case:
    sent = post(b"Transfer-Encoding: chunked", body)
    return Case(name, sent, statuses if statuses is not None else [200] * len(forwarded) or [400], list(forwarded))


LENGTH_AND_CODING = [
    refused(f"length with {spelling!r}", post(b"Content-Length: %d\r\n" % len(SMUGGLING) + spelling, SMUGGLING))
    for spelling in (
        b"Transfer-Encoding: chunked",
        b"transfer-encoding: chunked",
        b"TRANSFER-ENCODING: CHUNKED",
        b"Transfer-Encoding:chunked",
        b"Transfer-Encoding:\tchunked",
        b"Transfer-Encoding:   chunked   ",
        b"Transfer-Encoding : chunked",
        b"Transfer-Encoding\t: chunked",
        b" Transfer-Encoding: chunked",
        b"X: y\r\n Transfer-Encoding: chunked",
        b"X: y\nTransfer-Encoding: chunked",
        b"X: y\rTransfer-Encoding: chunked",
        b"X: y\x00\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: identity",
        b"Transfer-Encoding: identity, chunked",
        b"Transfer-Encoding: chunked, identity",
        b"Transfer-Encoding: xchunked",
        b"Transfer-Encoding: chunkedx",
        b"Transfer-Encoding: x\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding:\r\n chunked",
        b"Transfer-Encoding: chunk\r\n ed",
        b"Transfer-Encoding:",
        b"Transfer-Encoding: \x0bchunked",
        b"Transfer-Encoding: \x0cchunked",
        b"Transfer-Encoding: chunked\x00",
        b"Transfer-Encoding\x00: chunked",
        b"Transfer-Encoding: chunked\xa0",
        b"Transfer-Encod\xc4\xb1ng: chunked",
        b"Transfer-Encoding; chunked",
        b"Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked",
        b"Connection: Content-Length\r\nTransfer-Encoding: chunked",
        b"\x00Transfer-Encoding: chunked",
        b"\x85Transfer-Encoding: chunked",
        b"X: y\r\n\x0bTransfer-Encoding: chunked",
        b"X: y\r\n\r Transfer-Encoding: chunked",
        b"Transfer-Encoding: chunked\r\n\tx",
        b"Transfer-Encoding: chunked\r\ntransfer-encoding: identity",
        b"Transfer-Encoding: chunked\r\nTransfer_Encoding: identity",
        b"Transfer-Encoding:\xa0chunked",
        b"Transfer-Encoding: chunked, \x0bidentity",
        b"Transfer-Encoding: c\x00hunked",
        b"Transfer-Encoding:\x00chunked",
        b'"Transfer-Encoding": chunked',
        b"Transfer-Encoding/: chunked",
    )
] + [
    passed(
        "a next line character is part of a value", post(b"X: y\xc2\x85Transfer-Encoding: chunked\r\nContent-Length: 5", b"hello"), HELLO
    ),
    passed(
        "a line separator is part of a value", post(b"X: y\xe2\x80\xa8Transfer-Encoding: chunked\r\nContent-Length: 5", b"hello"), HELLO
    ),
    refused("coding before the length", post(b"Transfer-Encoding: chunked\r\nContent-Length: 0", SMUGGLING)),
    passed("an underscore for the dash", post(b"Transfer_Encoding: chunked\r\nContent-Length: 5", b"hello"), HELLO),
    passed("a name that only looks like it", post(b"X-Transfer-Encoding: chunked\r\nContent-Length: 5", b"hello"), HELLO),
]

CODINGS = [
    passed("chunked", post(b"Transfer-Encoding: chunked", HELLO_CHUNKED), HELLO),
    passed("chunked in other letters", post(b"tRANSFER-eNCODING:cHUNKED", HELLO_CHUNKED), HELLO),
    passed("chunked, nominated", post(b"Connection: transfer-encoding\r\nTransfer-Encoding: chunked", HELLO_CHUNKED), HELLO),
    refused("chunked in HTTP/1.0", post(b"Transfer-Encoding: chunked", HELLO_CHUNKED, b"1.0")),
    refused("gzip and chunked", post(b"Transfer-Encoding: gzip, chunked", HELLO_CHUNKED), 501),
    refused("identity and chunked", post(b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked", HELLO_CHUNKED), 501),
    *[
        refused(f"coding {value!r}", post(b"Transfer-Encoding: " + value, HELLO_CHUNKED))
        for value in (
            b"chunked, chunked",
            b"chunked\r\nTransfer-Encoding: chunked",
            b",chunked",
            b"chunked,",
            b"chunked, ",
            b"chunked;q=0.5",
            b'"chunked"',
            b"chunked chunked",
            b"gzip",
            b"identity",
            b"chunked\r\nTransfer-Encoding: identity",
            b"\xef\xbb\xbfchunked",
        )
    ],
]

LENGTHS = [
    passed("a length", post(b"Content-Length: 5", b"hello"), HELLO),
    passed("equal lengths in two lines", post(b"Content-Length: 5\r\nContent-Length: 5", b"hello"), HELLO),
    passed("equal lengths in one line", post(b"Content-Length: 5, 5", b"hello"), HELLO),
    passed("a length with zeros before it", post(b"Content-Length: 005", b"hello"), HELLO),
    passed("a nominated length", post(b"Connection: content-length\r\nContent-Length: 5", b"hello"), HELLO),
    passed("a request as a body", post(b"Content-Length: %d" % len(EVIL), EVIL), b"POST /a h " + EVIL),
    passed("a body of GET", get(fields=b"Host: h\r\nContent-Length: %d\r\n" % len(EVIL)) + EVIL, A + EVIL),
    Case("a length with an underscore is none", post(b"Content_Length: 5", b"hello there\r\n\r\n"), [200, 400], [b"POST /a h "]),
    Case("no length and a body", post(b"X: y", b"hello there\r\n\r\n"), [200, 400], [b"POST /a h "]),
    Case("a body that is too short", post(b"Content-Length: 6", b"hello"), [], []),
    *[
        passed(f"a body of {method.decode()}", get(method=method, fields=LENGTH_OF_EVIL) + EVIL + get(), method + b" /a h " + EVIL, A)
        for method in (b"HEAD", b"DELETE", b"OPTIONS", b"PATCH", b"BREW", b"get")
    ],
    refused("a length above the limit", post(b"Content-Length: 9999999999"), 413),
    *[
        refused(f"length {value!r}", post(b"Content-Length: " + value, b"hello" + EVIL))
        for value in (
            b"+5",
            b"-5",
            b"0x5",
            b"5,",
            b",5",
            b"5, 6",
            b"5 5",
            b"5;5",
            b"5.0",
            b"5e0",
            b"1_0",
            b"",
            b"five",
            b"99999999999999999999999999",
            b"\xef\xbc\x95",
            b"\x0b5",
            b"5\x0c",
            b"5\x00",
            b"5\r\nContent-Length: 6",
            b"6\r\nContent-Length: 5",
            b"5\r\nContent-Length:",
            b"5\r\n 0",
            b"5\rX: y",
            b"5\nX: y",
        )
    ],
    refused("white space after the name", post(b"Content-Length : 5", b"hello")),
]

CHUNKS = [
    chunked("several chunks", b"2\r\nhe\r\n003\r\nllo\r\n0\r\n\r\n", HELLO),
    chunked("capitals and zeros", b"000000000000000A\r\n0123456789\r\n000\r\n\r\n", b"POST /a h 0123456789"),
    chunked("extensions", b'5;a=b;c="d e"\r\nhello\r\n0;last\r\n\r\n', HELLO),
    chunked("data that looks like an end", b"5\r\n0\r\n\r\n\r\n0\r\n\r\n", b"POST /a h 0\r\n\r\n"),
    chunked("a request in a chunk", b"%x\r\n" % len(EVIL) + EVIL + b"\r\n0\r\n\r\n", b"POST /a h " + EVIL),
    chunked("extensions without a name", b"5;\r\nhello\r\n0;;=\r\n\r\n", HELLO),
    chunked("an extension with an open quotation", b'5;a="\r\nhello\r\n0;"\r\n\r\n', HELLO),
    chunked("a request after the end", SMUGGLING, b"POST /a h ", b"GET /evil evil "),
    chunked("no end", b"5\r\nhello\r\n", statuses=[]),
    chunked("a last chunk without its end", b"5\r\nhello\r\n0\r\n", statuses=[]),
    chunked("a size above the limit", b"FFFFFFFFFFFFFFFF\r\n", statuses=[413]),
    *[
        chunked(f"chunks {body[:40]!r}", body + EVIL)
        for body in (
            b"+5\r\nhello\r\n0\r\n\r\n",
            b"-5\r\nhello\r\n0\r\n\r\n",
            b"0x5\r\nhello\r\n0\r\n\r\n",
            b" 5\r\nhello\r\n0\r\n\r\n",
            b"5 \r\nhello\r\n0\r\n\r\n",
            b"\t5\r\nhello\r\n0\r\n\r\n",
            b"5_\r\nhello\r\n0\r\n\r\n",
            b"g\r\nhello\r\n0\r\n\r\n",
            b"\r\nhello\r\n0\r\n\r\n",
            b";a=b\r\nhello\r\n0\r\n\r\n",
            b"5,5\r\nhello\r\n0\r\n\r\n",
            b"5\nhello\r\n0\r\n\r\n",
            b"5\rhello\r\n0\r\n\r\n",
            b"5\r\r\nhello\r\n0\r\n\r\n",
            b"5;a\nb\r\nhello\r\n0\r\n\r\n",
            b"5;a\rb\r\nhello\r\n0\r\n\r\n",
            b"5;\x00\r\nhello\r\n0\r\n\r\n",
            b"5; " + b"a" * 5000 + b"\r\nhello\r\n0\r\n\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"5\r\nhello\r0\r\n\r\n",
            b"5\r\nhello0\r\n\r\n",
            b"5\r\nhelloo\r\n0\r\n\r\n",
            b"5\r\nhell\r\n0\r\n\r\n",
            b"5\r\nhello\r\n\r\n0\r\n\r\n",
            b"00000000000000005\r\nhello\r\n0\r\n\r\n",
            b"10000000000000005\r\nhello\r\n0\r\n\r\n",
            b"5\r\nhello\r\n0\n\r\n",
            b"5\r\nhello\r\n0\r\n\n",
            b"5\r\nhello\r\n-0\r\n\r\n",
            b"5\r\nhello\r\n0x0\r\n\r\n",
            b"\xef\xbc\x95\r\nhello\r\n0\r\n\r\n",
            # any two octets for the CR LF behind the data, and lines that end in one reader's view only
            b"5\r\nhelloXX0\r\n\r\n",
            b"5\r\nhello\n\n0\r\n\r\n",
            b"5\r\nhello\r\r0\r\n\r\n",
            b"5\r\nhello\n\r0\r\n\r\n",
            b"5\r\nhello;x\r\n0\r\n\r\n",
            b"5;\nhello\r\n0\r\n\r\n",
            b"5;\rhello\r\n0\r\n\r\n",
            b"5;\n\r\nhello\r\n0\r\n\r\n",
            b"5;\r\r\nhello\r\n0\r\n\r\n",
            b"5;\x7f\r\nhello\r\n0\r\n\r\n",
            b"5\x00\r\nhello\r\n0\r\n\r\n",
            b"5 ;a=b\r\nhello\r\n0\r\n\r\n",
            b"5\t;a=b\r\nhello\r\n0\r\n\r\n",
            b"5h\r\nhello\r\n0\r\n\r\n",
            b"5:a\r\nhello\r\n0\r\n\r\n",
            b"\n5\r\nhello\r\n0\r\n\r\n",
            b"0\r\n\n",
            b"0\n\n",
            b"0\r\r\n",
        )
    ],
]

TRAILERS = [
    *[
        chunked(f"trailer {field!r} is dropped", b"5\r\nhello\r\n0\r\n" + field + b"\r\n\r\n", HELLO)
        for field in (
            b"Transfer-Encoding: chunked",
            b"Content-Length: 500",
            b"Host: evil",
            b"Connection: close",
            b"Authorization: Basic eA==",
            b"X-Forwarded-For: 10.0.0.1",
            b"X_Forwarded_For: 10.0.0.1",
            b"Cookie: a=b",
        )
    ],
    chunked("a trailer that may pass", b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", HELLO + b" X-Sum=1"),
    Case(
        "a trailer that Connection names",
        post(b"Connection: X-Sum, keep-alive\r\nTransfer-Encoding: chunked", b"5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-Other: 2\r\n\r\n"),
        [200],
        [HELLO + b" X-Other=2"],
    ),
    chunked("a trailer with an underscore for the dash", b"5\r\nhello\r\n0\r\nContent_Length: 0\r\nX-Sum: 1\r\n\r\n", HELLO + b" X-Sum=1"),
    chunked("a trailer that looks like a request line", b"5\r\nhello\r\n0\r\nGET: /evil HTTP/1.1\r\n\r\n", HELLO + b" GET=/evil HTTP/1.1"),
    chunked("too many trailers", b"5\r\nhello\r\n0\r\n" + b"X: y\r\n" * 200 + b"\r\n" + EVIL, statuses=[431]),
    chunked("trailers without an end", b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n", statuses=[]),
    chunked("a request after trailers", b"0\r\nX-Sum: 1\r\n\r\n" + EVIL, b"POST /a h  X-Sum=1", b"GET /evil evil "),
    *[
        chunked(f"trailers {trailers!r}", b"5\r\nhello\r\n0\r\n" + trailers + b"\r\n\r\n" + EVIL)
        for trailers in (
            b" X: folded",
            b"X: y\r\n folded",
            b"X : y",
            b": y",
            b"X y",
            b"X: y\nHost: evil",
            b"X: y\rHost: evil",
            b"X: \x00",
            b"GET /evil HTTP/1.1",
            b"X(: y",
        )
    ],
]

SYNTAX = [
    passed("an empty line before", b"\r\n" + get(), A),
    passed("an octet above ASCII in a value", get(fields=b"Host: h\r\nX: \xff\r\n"), A),
    passed("an empty value", get(fields=b"Host: h\r\nX:\r\n"), A),
    passed("a higher minor version", get(version=b"HTTP/1.9"), A),
    passed("HTTP/1.0 with a Host", get(version=b"HTTP/1.0"), A),
    passed("percent-encoded line ends", get(b"/a%0d%0aX:%20y%00"), b"GET /a%0d%0aX:%20y%00 h "),
    passed("dots, slashes and brackets", get(b"/../a//b/./%2e%2e/[x]{y}|\\"), b"GET /../a//b/./%2e%2e/[x]{y}|\\ h "),
    passed("a method in small letters", get(method=b"get"), b"get /a h "),
    *[
        refused(f"syntax {sent[:60]!r}", sent)
        for sent in (
            b"\r\n\r\n" + get(),
            b"\n" + get(),
            b"\r" + get(),
            b" " + get(),
            b"\x00" + get(),
            get().replace(b"\r\n", b"\n"),
            get().replace(b"\r\n", b"\r"),
            get().replace(b"\r\n", b"\n\r"),
            get().replace(b"HTTP/1.1\r\n", b"HTTP/1.1\n"),
            get().replace(b"HTTP/1.1\r\n", b"HTTP/1.1\r\r\n"),
            get(fields=b"Host: h\n"),
            get(fields=b"Host: h\r\nX: a\nY: b\r\n"),
            get(fields=b"Host: h\r\nX: a\rY: b\r\n"),
            get(fields=b"Host: h\r\nX: a\r\r\nY: b\r\n"),
            get(fields=b"Host: h\r\nX: a\x00b\r\n"),
            get(fields=b"Host: h\r\nX: a\x08b\r\n"),
            get(fields=b"Host: h\r\nX: a\x7fb\r\n"),
            get(fields=b"Host: h\r\nX : a\r\n"),
            get(fields=b"Host: h\r\nX\t: a\r\n"),
            get(fields=b"Host: h\r\n: a\r\n"),
            get(fields=b"Host: h\r\nX\r\n"),
            get(fields=b"Host: h\r\nX Y: a\r\n"),
            get(fields=b"Host: h\r\nX(Y): a\r\n"),
            get(fields=b"Host: h\r\nX\xe9: a\r\n"),
            get(fields=b"Host: h\r\nX\x00: a\r\n"),
            get(fields=b"Host: h\r\nX: a\r\n b\r\n"),
            get(fields=b"Host: h\r\nX: a\r\n\tb\r\n"),
            get(fields=b" Host: h\r\n"),
            get(b"/a b"),
            get(b" /a"),
            get(b"/a "),
            get(b"/a#b"),
            get(b"/\xc3\xa9"),
            get(b"/\x00"),
            get(b"/a\tb"),
            get(b"/a\x0bHTTP/1.1"),
            get(b""),
            b"GET /a\r\nHost: h\r\n\r\n",
            b"GET\t/a\tHTTP/1.1\r\nHost: h\r\n\r\n",
            get(version=b"HTTP/1.1 "),
            get(version=b"HTTP/1.10"),
            get(version=b"HTTP/01.1"),
            get(version=b"HTTP/1"),
            get(version=b"HTTP/1."),
            get(version=b"http/1.1"),
            get(version=b"HTTP /1.1"),
            get(version=b"HTTP/+1.1"),
            get(version=b"ICY/1.1"),
            get(version=b"HTTP/1.1\x00"),
            get(method=b"G(T"),
            get(method=b"G\x00T"),
            get(method=b"G\xe9T"),
            get(method=b""),
            # what is no request in HTTP/1 at all: HTTP/0.9, and lines that other readers join or skip
            b"GET /a\r\n\r\n",
            b"GET\r\n\r\n",
            b"\r\n \r\n" + get(),
            b"X: y\r\n" + get(),
            get(version=b"HTTP/1.1\r\n ") + b"\r\n",
            get(version=b"HTTP/1.1\tX"),
            get(b"/a HTTP/1.1\nHost: evil"),
            get(b"/a\rHTTP/1.1"),
            get(b"/\x85a"),
            get(b"/\x7fa"),
            get(fields=b"Host: h\r\n\r"),
            get(fields=b"Host: h\r\n\nGET /evil HTTP/1.1\r\nHost: evil\r\n"),
            get(fields=b"Host: h\r\n \r\nX: y\r\n"),
            get(fields=b"Host: h\r\n\x00\r\n"),
            get(fields=b"Host: h\r\nX: y\r\n:\r\n"),
            get(fields=b"Host: h\r\nX\r: y\r\n"),
            get(fields=b"Host: h\r\nX\n: y\r\n"),
            get(fields=b"Host: h\r\n\xef\xbb\xbfX: y\r\n"),
            get(fields=b"Host: h\r\n{X}: y\r\n"),
            get(fields=b"Host: h\r\nX@: y\r\n"),
            b"PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n" + get(),
            b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x0a\x00\x00\x01\x0a\x00\x00\x02\x00\x01\x00\x02" + get(),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + get(),
        )
    ],
    refused("the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    refused("another major version", get(version=b"HTTP/3.1"), 505),
    refused("too long a target", get(b"/" + b"a" * 9000), 414),
    refused("too large a head", get(fields=b"Host: h\r\nX: " + b"a" * 40_000 + b"\r\n"), 431),
    refused("too many fields", get(fields=b"Host: h\r\n" + b"X: a\r\n" * 200), 431),
    refused("another expectation", get(fields=b"Host: h\r\nExpect: 200-ok\r\n"), 417),
    # Expect, as of the desync attacks of 2025: another reader may wait for the body, or not, where this one does the opposite
    *[
        refused(f"expectation {value!r} with a body", post(b"Expect: " + value + b"\r\nContent-Length: %d" % len(EVIL), EVIL), 417)
        for value in (
            b"",
            b"y 100-continue",
            b"100-continue, 100-continue",
            b"100-continue;a=b",
            b"100-continued",
            b"x\r\nExpect: 100-continue",
        )
    ],
    refused("an expectation that is folded", post(b"Expect:\r\n 100-continue\r\nContent-Length: 5", b"hello")),
    refused("two expectations", get(fields=b"Host: h\r\nExpect: 100-continue, x\r\n"), 417),
]

HOSTS = [
    passed("an absolute target overrides Host", get(b"http://real/x?y", b"Host: evil\r\n"), b"GET /x?y real "),
    passed("an absolute target in capitals", get(b"HTTP://Real:80/x"), b"GET /x Real:80 "),
    passed("an absolute target without a path", get(b"http://real"), b"GET / real "),
    passed("an absolute target with a query only", get(b"http://real?q"), b"GET /?q real "),
    passed("an absolute target of the other scheme", get(b"https://real/x"), b"GET /x real "),
    passed("an absolute target that nests another", get(b"http://real/http://evil/x"), b"GET /http://evil/x real "),
    passed("an absolute target in HTTP/1.0 without Host", get(b"http://real/x", b"", b"HTTP/1.0"), b"GET /x real "),
    passed("an @ in the path", get(b"http://real/@evil"), b"GET /@evil real "),
    passed("a path that looks like an authority", get(b"//evil/x"), b"GET //evil/x h "),
    passed("a path that looks like a URL", get(b"/http://evil/x"), b"GET /http://evil/x h "),
    passed("the server as a whole", get(b"*", method=b"OPTIONS"), b"OPTIONS * h "),
    passed("the server as a whole, absolutely", get(b"http://real", method=b"OPTIONS"), b"OPTIONS * real "),
    passed("a nominated Host", get(fields=b"Host: h\r\nConnection: Host\r\n"), A),
    passed("a Host of another name", get(fields=b"Host: h\r\nX-Host: evil\r\nX-Forwarded-Host: evil\r\nHost_: evil\r\n"), A),
    passed("an empty Host", get(fields=b"Host:\r\n"), b"GET /a  "),
    passed("an address with a port", get(fields=b"Host: [::1]:8080\r\n"), b"GET /a [::1]:8080 "),
    *[
        refused(f"target {target!r}", get(target))
        for target in (
            b"http://user@real/x",
            b"http://real@evil/x",
            b"http:///x",
            b"http://:80/x",
            b"http://real:x/",
            b"http://real\\@evil/",
            b"http://[::1/x",
            b"http:/x",
            b"http:x",
            b"ftp://real/x",
            b"real/x",
            b"a",
            b"?a",
            b"*",
            b"**",
            b"*/x",
            b"http://real:80:80/x",
            b"http://real /x",
            b"http://real\t/x",
            b"http://real#/x",
            b"http://real,evil/x",
            b"http://real/x http://evil/y",
            b"http://[::1]evil/x",
            b"http://real\x00/x",
            b"http:\\\\evil/x",
            b"javascript:x",
            b"HTTP/1.1",
        )
    ],
    refused("no Host", get(fields=b"")),
    refused("no Host but an absolute target", get(b"http://real/x", b"")),
    *[
        refused(f"Host {value!r}", get(fields=b"Host: " + value + b"\r\n"))
        for value in (
            b"h\r\nHost: h",
            b"h\r\nHost: evil",
            b"h\r\nhOST: evil",
            b"h, evil",
            b"h evil",
            b"h\tevil",
            b"h/evil",
            b"h@evil",
            b"evil@h",
            b"h#evil",
            b"h?evil",
            b"h\\evil",
            b"http://h",
            b"h:80:80",
            b"h:x",
            b"h:-1",
            b":80",
            b"[::1",
            b"::1",
            b"[x]",
            b"h\x00",
            b"\xe9",
            b"h\r\n evil",
            b"<h>",
            b'"h"',
        )
    ],
    refused("CONNECT", get(b"h:443", method=b"CONNECT"), 405),
    refused("CONNECT with a path", get(b"/a", method=b"CONNECT"), 405),
]

NOMINATED = [
    passed(f"Connection: {named.decode()}", get(fields=b"Host: h\r\nConnection: " + named + b"\r\nX-A: b\r\n"), A)
    for named in (
        b"Host",
        b"host, content-length, transfer-encoding",
        b"X-Forwarded-For",
        b"X-Forwarded-Proto, X-Forwarded-Host, Forwarded",
        b"Via",
        b"X-A",
        b"close, X-A",
        b",,X-A,,",
        b"TE",
        b"Upgrade",
        b"keep-alive\r\nConnection: X-A",
        b'"X-A"',
        b"Content-Length\r\nContent-Length: 0",
        b"Expect, Authorization, Cookie",
        b"X-Request-Id, traceparent",
        b"Max-Forwards",
    )
] + [
    # a switch would leave open where the body ends and the other protocol begins
    passed(
        "an upgrade with a body",
        get(fields=b"Connection: Upgrade\r\nUpgrade: websocket\r\n" + LENGTH_OF_EVIL) + EVIL,
        A + EVIL,
    ),
    passed(
        "an upgrade with chunks",
        get(fields=b"Host: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked\r\n") + CHUNKED_EVIL,
        A + EVIL,
    ),
    passed("an upgrade in HTTP/1.0", get(fields=b"Host: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n", version=b"HTTP/1.0"), A),
    passed("an upgrade that Connection does not name", get(fields=b"Host: h\r\nUpgrade: websocket\r\n"), A),
    passed(
        "an upgrade to another protocol", get(fields=b"Host: h\r\nConnection: Upgrade\r\nUpgrade: websocket-evil, h2c/websocket\r\n"), A
    ),
    passed(
        "an upgrade to h2c", get(fields=b"Host: h\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMA\r\n"), A
    ),
    passed(
        "fields of one connection",
        get(fields=b"Host: h\r\nKeep-Alive: 5\r\nProxy-Connection: x\r\nProxy-Authorization: y\r\nTE: gzip\r\n"),
        A,
    ),
]

PIPELINES = [
    passed("two requests", get() + EVIL, A, b"GET /evil evil "),
    passed("a body between", post(b"Content-Length: 5", b"hello") + EVIL, HELLO, b"GET /evil evil "),
    passed("chunks between", post(b"Transfer-Encoding: chunked", HELLO_CHUNKED) + get(), HELLO, A),
    passed("an empty line between", post(b"Content-Length: 5", b"hello") + b"\r\n" + get(), HELLO, A),
    passed("HEAD between", get() + get(method=b"HEAD") + get(b"/b"), A, b"HEAD /a h ", b"GET /b h "),
    Case("what is refused ends it", get() + get(fields=b"") + EVIL, [200, 400], [A]),
    Case("a refusal at the start", get(fields=b"X: y\r\n") + EVIL, [400], []),
    Case("a refused body", get() + post(b"Transfer-Encoding: chunked", b"zz\r\n") + EVIL, [200, 400], [A]),
    Case("nothing after close", get(fields=b"Host: h\r\nConnection: close\r\n") + EVIL, [200], [A]),
    Case("nothing after HTTP/1.0", get(version=b"HTTP/1.0") + EVIL, [200], [A]),
    Case("a short body takes the next request", post(b"Content-Length: 500", b"hello") + EVIL, [], []),
    Case("nothing after a close that is one of several", get(fields=b"Host: h\r\nConnection: keep-alive, ClosE\r\n") + EVIL, [200], [A]),
    passed("HTTP/1.0 that is kept alive", get(fields=b"Host: h\r\nConnection: keep-alive\r\n", version=b"HTTP/1.0") + get(), A, A),
    passed(
        "an empty line between chunks' end and a request", post(b"Transfer-Encoding: chunked", HELLO_CHUNKED) + b"\r\n" + get(), HELLO, A
    ),
    Case("two empty lines between", get() + b"\r\n\r\n" + EVIL, [200, 400], [A]),
    Case("a tail of a chunked body", post(b"Transfer-Encoding: chunked", HELLO_CHUNKED) + b"0\r\n\r\n" + EVIL, [200, 400], [HELLO]),
    Case("more than the length", post(b"Content-Length: 5", b"hello!") + EVIL, [200, 200], [HELLO, b"!GET /evil evil "]),
    Case("octets after a request", get() + b"\x00\x00\x00\x00\r\n\r\n", [200, 400], [A]),
]

OWN_ANSWERS = [
    get(b"/health", LENGTH_OF_EVIL) + EVIL,
    get(b"/health?x", LENGTH_OF_EVIL, method=b"HEAD") + EVIL,
    get(b"/health", b"Host: h\r\nTransfer-Encoding: chunked\r\n") + CHUNKED_EVIL,
    get(b"http://real/health", LENGTH_OF_EVIL) + EVIL,
    get(method=b"OPTIONS", fields=b"Max-Forwards: 0\r\n" + LENGTH_OF_EVIL) + EVIL,
    get(method=b"TRACE", fields=b"Max-Forwards: 0\r\n" + LENGTH_OF_EVIL) + EVIL,
    get(method=b"OPTIONS", fields=b"Host: h\r\nMax-Forwards: 0\r\nTransfer-Encoding: chunked\r\n") + CHUNKED_EVIL,
]
"""Requests that never reach a server, with a body that looks like one that should."""

CASES = [*LENGTH_AND_CODING, *CODINGS, *LENGTHS, *CHUNKS, *TRAILERS, *SYNTAX, *HOSTS, *NOMINATED, *PIPELINES]


class Recorder:
    """A server that reads with h11, notes each complete request, and says what was not strict."""

    def __init__(self) -> None:
        self.requests: list[bytes] = []
        self.faults: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._sockets.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(ConnectionError):
            raw = b""
            reader = h11.Connection(h11.SERVER)
            request: h11.Request | None = None
            body = b""
            while True:
                try:
                    event = reader.next_event()
                except h11.RemoteProtocolError as error:
                    if reader.trailing_data[1] and "receive_data" not in str(error):
                        return  # cut off by the balancer in the middle: nobody takes that for a request
                    self.faults.append(f"{error}: {raw!r}")
                    return
                if event is h11.NEED_DATA:
                    data = connection.recv(65536)
                    raw += data
                    reader.receive_data(data)
                elif isinstance(event, h11.Request):
                    request, body = event, b""
                    self._check(raw.partition(b"\r\n\r\n")[0])
                elif isinstance(event, h11.Data):
                    body += bytes(event.data)
                elif isinstance(event, h11.EndOfMessage):
                    assert request is not None
                    fields = dict(request.headers)
                    trailers = b"".join(b" %b=%b" % pair for pair in event.headers.raw_items())
                    if request.target == b"/health":
                        trailers = b"health"
                    else:
                        self.requests.append(b"%b %b %b %b%b" % (request.method, request.target, fields[b"host"], body, trailers))
                    raw = reader.trailing_data[0]
                    answer = reader.send(h11.Response(status_code=200, headers=[("Content-Length", "2")], reason="OK"))
                    assert answer is not None
                    end = reader.send(h11.Data(b"hi")) if request.method != b"HEAD" else b""
                    connection.sendall(answer + (end or b"") + (reader.send(h11.EndOfMessage()) or b""))
                    if trailers == b"health" and b"close" in fields.get(b"connection", b""):
                        return
                    reader.start_next_cycle()
                else:
                    return

    def _check(self, head: bytes) -> None:
        """What the balancer itself writes: nothing that two readers could take differently."""
        _line, *lines = head.split(b"\r\n")
        names = [line.partition(b":")[0].lower() for line in lines]
        if head.startswith(b"GET /health "):
            return
        for line in lines:
            if not STRICT_LINE.fullmatch(line):
                self.faults.append(f"a line that is not strict: {line!r}")
        for name in (b"host", b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-host", b"via"):
            if names.count(name) != 1:
                self.faults.append(f"{names.count(name)} of {name!r}: {head!r}")
        if names.count(b"content-length") + names.count(b"transfer-encoding") > 1:
            self.faults.append(f"framed twice: {head!r}")
        for name in (b"upgrade", b"http2-settings", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"te", b"connection"):
            if name in names:
                self.faults.append(f"{name!r} belongs to one connection: {head!r}")
        if any(b"_" in name for name in names):
            self.faults.append(f"an underscore: {head!r}")

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._sockets:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Front:
    """A balancer in front of a recorder."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.process = Process.start("scalelab-lb", f"--backend=127.0.0.1:{self.recorder.port}")
        self.port = self.process.wait_listening()

    def talk(self, *parts: bytes) -> bytes:
        """Send ``parts``, a moment apart, then a FIN; everything that comes back."""
        received = b""
        with socket.create_connection(("127.0.0.1", self.port), TIMEOUT_S) as connection, suppress(ConnectionError):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for number, part in enumerate(parts):
                if number:
                    time.sleep(0.02)
                with suppress(ConnectionError):
                    connection.sendall(part)
            with suppress(OSError):
                connection.shutdown(socket.SHUT_WR)
            while data := connection.recv(65536):
                received += data
        return received


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    made = Front()
    yield made
    made.process.close()
    made.recorder.close()


def statuses(received: bytes, sent: bytes) -> list[int]:
    """Of the answers in ``received``, which must follow each other without a byte between."""
    found: list[int] = []
    methods = re.findall(rb"(?:^|\n|o|\r\n)(HEAD|GET|POST) ", sent)
    while received:
        head, end, received = received.partition(b"\r\n\r\n")
        assert end, head
        assert head.startswith(b"HTTP/1.1 "), head
        length = re.search(rb"\r\nContent-Length: (\d+)", head)
        assert length, head
        if not (len(found) < len(methods) and methods[len(found)] == b"HEAD"):
            assert len(received) >= int(length[1]), head
            received = received[int(length[1]) :]
        found.append(int(head[9:12]))
    return found


@pytest.mark.parametrize("pieces", ["at once", "in two"])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_nothing_ambiguous_reaches_a_server(front: Front, case: Case, pieces: str) -> None:
    recorder = front.recorder
    recorder.requests.clear()
    cut = len(case.sent) if pieces == "at once" else max(1, case.sent.find(b"\r\n\r\n") + 4)
    received = front.talk(*filter(None, (case.sent[:cut], case.sent[cut:])))
    assert recorder.faults == []
    assert recorder.requests == case.forwarded
    assert statuses(received, case.sent) == case.statuses
    assert b"Traceback" not in received


@pytest.mark.parametrize("pieces", ["at once", "in two"])
@pytest.mark.parametrize("sent", OWN_ANSWERS)
def test_the_body_of_what_the_balancer_answers_itself_is_never_a_request(front: Front, sent: bytes, pieces: str) -> None:
    recorder = front.recorder
    recorder.requests.clear()
    head = sent.find(b"\r\n\r\n") + 4
    received = front.talk(*([sent + get()] if pieces == "at once" else [sent[:head], sent[head:] + get()]))
    assert recorder.faults == []
    # with its body still on the way, an answer ends its connection (rule 38)
    assert recorder.requests == ([A] if pieces == "at once" else [])
    assert statuses(received, sent + get())[1:] == ([200] if pieces == "at once" else [])


def test_the_corpus_is_what_it_says() -> None:
    assert len({case.name for case in CASES}) == len(CASES) > 350


def test_the_balancer_still_works_after_all_of_it(front: Front) -> None:
    assert front.talk(get()).startswith(b"HTTP/1.1 200 OK\r\n")
    assert front.process.status is None
    assert "Traceback" not in front.process.output
    assert "Unhandled" not in front.process.output
