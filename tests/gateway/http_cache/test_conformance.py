"""What RFC 9111 and its kin make of an answer and a later request for the same: a table of cases, each played on the whole cache.

``DATE(n)`` is the time of the answer plus ``n`` seconds. Outcomes: ``hit`` (reused without a word to the origin), ``asks`` (the origin gets
the request, without preconditions of ours), ``validates`` (with ours); ``304``, ``206``, ``416`` from memory, and ``504`` without it.
"""

import re
from email.utils import formatdate
from typing import NamedTuple

import pytest

from scalability.testing.cache_case import CacheCase

ETAG = 'ETag: "a"'
OLD = "Last-Modified: DATE(-100000)"


class Case(NamedTuple):
    """``answer`` to ``first``; after ``wait_s`` the request ``then`` has ``outcome``."""

    name: str
    answer: tuple[str, ...]
    outcome: str
    wait_s: float = 5.0
    first: tuple[str, ...] = ()
    then: tuple[str, ...] = ()
    status: str = "200 OK"
    method: str = "GET"
    dated: bool = True


CASES = [
    # freshness: RFC 9111 section 4.2
    Case("max-age", ("Cache-Control: max-age=10",), "hit"),
    Case("max-age over", ("Cache-Control: max-age=10",), "asks", 10.0),
    Case("max-age of nought", ("Cache-Control: max-age=0", ETAG), "validates", 0.0),
    Case("max-age in capitals", ("CACHE-CONTROL: MAX-AGE=10",), "hit"),
    Case("max-age in quotes", ('Cache-Control: max-age="10"',), "hit"),
    Case("max-age with blanks around the comma", ("Cache-Control: public ,\t max-age=10",), "hit"),
    Case("max-age with a blank before the equals sign", ("Cache-Control: max-age =10",), "asks"),
    Case("max-age that is negative", ("Cache-Control: max-age=-10", ETAG), "validates"),
    Case("max-age with a fraction", ("Cache-Control: max-age=10.5", ETAG), "validates"),
    Case("max-age that is no number", ("Cache-Control: max-age=soon", ETAG), "validates"),
    Case("max-age that is huge", ("Cache-Control: max-age=99999999999999999999",), "hit", 1e6),
    Case("max-age twice, differing", ("Cache-Control: max-age=1, max-age=100", ETAG), "validates"),
    Case("max-age on a second line", ("Cache-Control: public", "Cache-Control: max-age=10"), "hit"),
    Case("max-age behind unknown directives", ('Cache-Control: a, b=c, d="e, f", max-age=10',), "hit"),
    Case("max-age within another's quoted argument", ('Cache-Control: ext="max-age=10"', ETAG), "validates"),
    Case("s-maxage before max-age", ("Cache-Control: max-age=1, s-maxage=100",), "hit"),
    Case("s-maxage shorter than max-age", ("Cache-Control: max-age=100, s-maxage=1", ETAG), "validates"),
    Case("s-maxage with Expires in the past", ("Cache-Control: s-maxage=100", "Expires: DATE(-1)"), "hit"),
    Case("Expires", ("Expires: DATE(100)",), "hit"),
    Case("Expires over", ("Expires: DATE(3)", ETAG), "validates"),
    Case("Expires is less than max-age", ("Expires: DATE(1)", "Cache-Control: max-age=100"), "hit"),
    Case("Expires of 0", ("Expires: 0", ETAG), "validates", 0.0),
    Case("Expires that is no date", ("Expires: tomorrow", ETAG), "validates", 0.0),
    Case("Expires twice, differing", ("Expires: DATE(100)", "Expires: DATE(-100)", ETAG), "validates", 0.0),
    Case("Expires in RFC 850's form", ("Expires: Sunday, 01-Jan-23 00:00:01 GMT", ETAG), "validates", 0.0),
    Case("Expires without Date", ("Expires: DATE(100)",), "hit", dated=False),
    Case("Date in the past ages", ("Cache-Control: max-age=100", "Date: DATE(-99)", ETAG), "validates", dated=False),
    Case("Date in the future does not", ("Cache-Control: max-age=100", "Date: DATE(5000)"), "hit", dated=False),
    Case("Date that is none", ("Cache-Control: max-age=100", "Date: today"), "hit", dated=False),
    Case("nothing said", ("Content-Type: text/plain",), "asks", 0.0),
    Case("nothing said but an ETag", (ETAG,), "validates", 0.0),
    Case("heuristics", (OLD,), "hit", 9000.0),
    Case("heuristics over", (OLD,), "validates", 11000.0),
    Case("heuristics of at most a day", ("Last-Modified: Sat, 29 Oct 1966 19:43:31 GMT",), "validates", 90000.0),
    Case("heuristics for 404", (OLD,), "hit", status="404 Not Found"),
    Case("heuristics for 410", (OLD,), "hit", status="410 Gone"),
    Case("heuristics for 301", (OLD,), "hit", status="301 Moved Permanently"),
    Case("heuristics for 308", (OLD,), "hit", status="308 Permanent Redirect"),
    Case("heuristics for 501", (OLD,), "hit", status="501 Not Implemented"),
    Case("no heuristics for 302", (OLD,), "asks", status="302 Found"),
    Case("no heuristics for 201", (OLD,), "asks", status="201 Created"),
    Case("no heuristics for 403", (OLD,), "asks", status="403 Forbidden"),
    Case("no heuristics for 500", (OLD,), "asks", status="500 Internal Server Error"),
    Case("no heuristics for 299", (OLD,), "asks", status="299 Unheard"),
    Case("public makes heuristics of 403", (OLD, "Cache-Control: public"), "hit", status="403 Forbidden"),
    # Age: section 5.1
    Case("Age counts", ("Cache-Control: max-age=100", "Age: 99", ETAG), "validates"),
    Case("Age beyond the lifetime", ("Cache-Control: max-age=100", "Age: 200", ETAG), "validates", 0.0),
    Case("Age that is negative is none", ("Cache-Control: max-age=100", "Age: -200"), "hit"),
    Case("Age that is no number is none", ("Cache-Control: max-age=100", "Age: old"), "hit"),
    Case("Age, a list", ("Cache-Control: max-age=100", "Age: 99, 0", ETAG), "validates"),
    Case("Age that is huge", ("Cache-Control: max-age=100", "Age: 99999999999999999999", ETAG), "validates", 0.0),
    # storing: section 3
    Case("no-store", ("Cache-Control: no-store, max-age=100",), "asks"),
    Case("no-store in capitals", ("Cache-Control: No-Store, max-age=100",), "asks"),
    Case("no-store with an argument", ("Cache-Control: no-store=1, max-age=100",), "asks"),
    Case("private", ("Cache-Control: private, max-age=100",), "asks"),
    Case("private with a field", ('Cache-Control: private="x-user", max-age=100', "X-User: me"), "hit"),
    Case("no-cache", ("Cache-Control: no-cache, max-age=100", ETAG), "validates", 0.0),
    Case("no-cache with a field", ('Cache-Control: no-cache="x-user", max-age=100', "X-User: me"), "hit"),
    Case("must-understand with a known status", ("Cache-Control: must-understand, no-store, max-age=100",), "hit"),
    Case("must-understand with an unknown status", ("Cache-Control: must-understand, max-age=100",), "asks", status="299 Unheard"),
    Case("Set-Cookie", ("Cache-Control: max-age=100", "Set-Cookie: a=b"), "asks"),
    Case("the request's no-store", ("Cache-Control: max-age=100",), "asks", first=("Cache-Control: no-store",)),
    Case("Pragma: no-cache in an answer means nothing", ("Cache-Control: max-age=100", "Pragma: no-cache"), "hit"),
    *[
        Case(f"a lifetime for {status}", ("Cache-Control: max-age=100",), "hit", status=f"{status} X")
        for status in (
            200,
            201,
            202,
            203,
            204,
            299,
            301,
            302,
            303,
            307,
            308,
            400,
            403,
            404,
            405,
            410,
            414,
            451,
            499,
            500,
            501,
            502,
            503,
            504,
            599,
        )
    ],
    *[Case(f"never {status}", ("Cache-Control: max-age=100",), "asks", status=f"{status} X") for status in (428, 429, 431, 511)],
    # statuses that answer a field of the request
    Case("401 is not given to who has credentials", ("Cache-Control: max-age=100",), "asks", status="401 X", then=("Authorization: x",)),
    Case("401 because of credentials", ("Cache-Control: max-age=100, public",), "asks", status="401 X", first=("Authorization: x",)),
    Case("412 because of a precondition", ("Cache-Control: max-age=100",), "asks", status="412 X", first=('If-Match: "x"',)),
    Case("416 because of a range", ("Cache-Control: max-age=100",), "asks", status="416 X", first=("Range: bytes=9-",)),
    Case("416 is not given to who wants a range", ("Cache-Control: max-age=100",), "asks", status="416 X", then=("Range: bytes=0-1",)),
    Case("417 because of an expectation", ("Cache-Control: max-age=100",), "asks", status="417 X", first=("Expect: 100-continue",)),
    Case("425 because of early data", ("Cache-Control: max-age=100",), "asks", status="425 X", first=("Early-Data: 1",)),
    # Authorization: section 3.5
    Case("Authorization", ("Cache-Control: max-age=100",), "asks", first=("Authorization: x",)),
    Case("Authorization and public", ("Cache-Control: max-age=100, public",), "hit", first=("Authorization: x",)),
    Case("Authorization and s-maxage", ("Cache-Control: s-maxage=100",), "hit", first=("Authorization: x",)),
    Case("Authorization and must-revalidate", ("Cache-Control: max-age=100, must-revalidate",), "hit", first=("Authorization: x",)),
    Case("Authorization later", ("Cache-Control: max-age=100",), "hit", then=("Authorization: x",)),
    # what a client asks: section 5.2.1
    Case("asked for no-cache", ("Cache-Control: max-age=100", ETAG), "validates", then=("Cache-Control: no-cache",)),
    Case("asked for no-cache by Pragma", ("Cache-Control: max-age=100", ETAG), "validates", then=("Pragma: no-cache",)),
    Case(
        "Pragma beside Cache-Control means nothing",
        ("Cache-Control: max-age=100", ETAG),
        "hit",
        then=("Pragma: no-cache", "Cache-Control: max-age=50"),
    ),
    Case("asked for a younger one", ("Cache-Control: max-age=100", ETAG), "validates", then=("Cache-Control: max-age=3",)),
    Case("asked for one that is young enough", ("Cache-Control: max-age=100", ETAG), "hit", then=("Cache-Control: max-age=30",)),
    Case("asked for max-age=0", ("Cache-Control: max-age=100", ETAG), "validates", 0.0, then=("Cache-Control: max-age=0",)),
    Case("asked for freshness that is not left", ("Cache-Control: max-age=100", ETAG), "validates", then=("Cache-Control: min-fresh=99",)),
    Case("asked for freshness that is left", ("Cache-Control: max-age=100",), "hit", then=("Cache-Control: min-fresh=50",)),
    Case("asked for stale ones", ("Cache-Control: max-age=10", ETAG), "hit", 15.0, then=("Cache-Control: max-stale",)),
    Case("asked for stale ones, so much", ("Cache-Control: max-age=10", ETAG), "hit", 15.0, then=("Cache-Control: max-stale=10",)),
    Case("asked for stale ones, less", ("Cache-Control: max-age=10", ETAG), "validates", 25.0, then=("Cache-Control: max-stale=10",)),
    Case(
        "asked for stale ones that must not be",
        ("Cache-Control: max-age=10, must-revalidate", ETAG),
        "validates",
        15.0,
        then=("Cache-Control: max-stale",),
    ),
    Case("only if cached", ("Cache-Control: max-age=10",), "hit", then=("Cache-Control: only-if-cached",)),
    Case("only if cached and stale", ("Cache-Control: max-age=10", ETAG), "504", 15.0, then=("Cache-Control: only-if-cached",)),
    # Vary: section 4.1
    Case("Vary, the same", ("Cache-Control: max-age=10", "Vary: X-A"), "hit", first=("X-A: 1",), then=("X-A: 1",)),
    Case("Vary, another", ("Cache-Control: max-age=10", "Vary: X-A"), "asks", first=("X-A: 1",), then=("X-A: 2",)),
    Case("Vary, none then", ("Cache-Control: max-age=10", "Vary: X-A"), "asks", first=("X-A: 1",)),
    Case("Vary, none at all", ("Cache-Control: max-age=10", "Vary: X-A"), "hit"),
    Case("Vary in capitals", ("Cache-Control: max-age=10", "VARY: x-a"), "hit", first=("X-A: 1",), then=("x-a: 1",)),
    Case(
        "Vary, two fields", ("Cache-Control: max-age=10", "Vary: X-A, X-B"), "asks", first=("X-A: 1", "X-B: 1"), then=("X-A: 1", "X-B: 2")
    ),
    Case("Vary on two lines", ("Cache-Control: max-age=10", "Vary: X-A", "Vary: X-B"), "asks", first=("X-B: 1",), then=("X-B: 2",)),
    Case("Vary: *", ("Cache-Control: max-age=10", "Vary: *"), "asks"),
    Case("Vary: * among others", ("Cache-Control: max-age=10", "Vary: X-A, *"), "asks"),
    Case("Vary, other fields do not count", ("Cache-Control: max-age=10", "Vary: X-A"), "hit", first=("X-C: 1",), then=("X-C: 2",)),
    Case(
        "Vary, blanks in a list say nothing",
        ("Cache-Control: max-age=10", "Vary: Accept-Encoding"),
        "hit",
        first=("Accept-Encoding: gzip, br",),
        then=("Accept-Encoding: gzip,br",),
    ),
    # preconditions: RFC 9110 section 13
    Case("If-None-Match", ("Cache-Control: max-age=10", ETAG), "304", then=('If-None-Match: "a"',)),
    Case("If-None-Match, weak", ("Cache-Control: max-age=10", ETAG), "304", then=('If-None-Match: W/"a"',)),
    Case("If-None-Match, a list", ("Cache-Control: max-age=10", ETAG), "304", then=('If-None-Match: "x", "a"',)),
    Case("If-None-Match, any", ("Cache-Control: max-age=10", ETAG), "304", then=("If-None-Match: *",)),
    Case("If-None-Match, another", ("Cache-Control: max-age=10", ETAG), "hit", then=('If-None-Match: "b"',)),
    Case("If-None-Match without quotes", ("Cache-Control: max-age=10", ETAG), "hit", then=("If-None-Match: a",)),
    Case(
        "If-None-Match goes before If-Modified-Since",
        ("Cache-Control: max-age=10", ETAG, OLD),
        "hit",
        then=('If-None-Match: "b"', "If-Modified-Since: DATE(0)"),
    ),
    Case("If-Modified-Since", ("Cache-Control: max-age=10", OLD), "304", then=("If-Modified-Since: DATE(-100000)",)),
    Case("If-Modified-Since earlier", ("Cache-Control: max-age=10", OLD), "hit", then=("If-Modified-Since: DATE(-100001)",)),
    Case("If-Modified-Since, nonsense", ("Cache-Control: max-age=10", OLD), "hit", then=("If-Modified-Since: yesterday",)),
    Case("If-Match is the origin's", ("Cache-Control: max-age=10", ETAG), "asks", then=('If-Match: "a"',)),
    Case("If-Unmodified-Since is the origin's", ("Cache-Control: max-age=10", OLD), "asks", then=("If-Unmodified-Since: DATE(0)",)),
    # ranges: RFC 9110 section 14
    Case("a range", ("Cache-Control: max-age=10",), "206", then=("Range: bytes=1-2",)),
    Case("a range to the end", ("Cache-Control: max-age=10",), "206", then=("Range: bytes=3-",)),
    Case("a range from the end", ("Cache-Control: max-age=10",), "206", then=("Range: bytes=-2",)),
    Case("two ranges", ("Cache-Control: max-age=10",), "206", then=("Range: bytes=0-0,4-4",)),
    Case("a range beyond", ("Cache-Control: max-age=10",), "416", then=("Range: bytes=10-",)),
    Case("a range of another unit", ("Cache-Control: max-age=10",), "hit", then=("Range: pages=1-2",)),
    Case("a range backwards", ("Cache-Control: max-age=10",), "416", then=("Range: bytes=3-2",)),
    Case("a range if it is the same", ("Cache-Control: max-age=10", ETAG), "206", then=("Range: bytes=1-2", 'If-Range: "a"')),
    Case("a range if it is another", ("Cache-Control: max-age=10", ETAG), "hit", then=("Range: bytes=1-2", 'If-Range: "b"')),
    Case(
        "a range if it is the same, weakly",
        ("Cache-Control: max-age=10", 'ETag: W/"a"'),
        "hit",
        then=("Range: bytes=1-2", 'If-Range: W/"a"'),
    ),
    Case("a range if it is as old", ("Cache-Control: max-age=10", OLD), "206", then=("Range: bytes=1-2", "If-Range: DATE(-100000)")),
    # stale answers: RFC 5861
    Case("stale while revalidate", ("Cache-Control: max-age=10, stale-while-revalidate=100", ETAG), "validates", 200.0),
    Case("stale while revalidate, and must not", ("Cache-Control: s-maxage=10, stale-while-revalidate=100", ETAG), "validates", 15.0),
    # targeted fields: RFC 9213
    Case("CDN-Cache-Control goes before", ("Cache-Control: no-store", "CDN-Cache-Control: max-age=100"), "hit"),
    Case("CDN-Cache-Control forbids", ("Cache-Control: max-age=100", "CDN-Cache-Control: no-store"), "asks"),
    Case("our own goes before that", ("CDN-Cache-Control: no-store", "Scalelab-Cache-Control: max-age=100"), "hit"),
    Case("CDN-Cache-Control that cannot be read is none", ("Cache-Control: max-age=100", "CDN-Cache-Control: max-age=&&&"), "hit"),
    Case("CDN-Cache-Control with parameters", ("CDN-Cache-Control: max-age=100;a=b", "Cache-Control: no-store"), "hit"),
    Case("CDN-Cache-Control with a string is ignored there", ('CDN-Cache-Control: max-age="100"', "Cache-Control: max-age=100"), "asks"),
    Case("CDN-Cache-Control without a lifetime ignores Expires", ("CDN-Cache-Control: public", "Expires: DATE(100)"), "asks"),
    # methods: section 2, RFC 9110 section 9.3
    Case("HEAD of a stored GET", ("Cache-Control: max-age=100",), "hit", method="HEAD"),
    Case("OPTIONS", ("Cache-Control: max-age=100",), "asks", method="OPTIONS"),
    Case("POST", ("Cache-Control: max-age=100",), "asks", method="POST"),
    Case("one that nobody knows", ("Cache-Control: max-age=100",), "asks", method="FROB"),
]


class Playing(CacheCase):
    def runTest(self) -> None:  # noqa: N802 - unittest's name
        """Nothing: the cases are played by ``play``."""

    def play(self, case: Case) -> None:
        self.at = self.wall()
        self.ask(*map(self._dated, case.first))
        lines = [self._dated(line) for line in case.answer]
        if case.dated:
            lines.append(self._dated("Date: DATE(0)"))
        self.origin.answer(*lines, status=case.status, body=b"" if case.status.startswith("204") else b"hello")
        self.origin.asked.clear()
        self.network.advance(case.wait_s)
        said = self.got(self.ask(*map(self._dated, case.then), method=case.method))
        assert self._became(said) == case.outcome, said

    def _dated(self, line: str) -> str:
        return re.sub(r"DATE\((-?\d+)\)", lambda match: formatdate(self.at + int(match[1]), usegmt=True), line)

    def _became(self, said: str) -> str:
        if self.origin.asked:
            head = self.origin.asked[-1].head
            ours = head.get(b"if-none-match") == b'"a"' or (head.get(b"if-modified-since") is not None)
            return "validates" if ours else "asks"
        status = said[9:12]
        if status == "504" and "only-if-cached" in said:
            return status
        return status if status in ("304", "206", "416") else "hit"


@pytest.mark.parametrize("case", CASES, ids=[case.name.replace(" ", "-") for case in CASES])
def test_what_becomes_of_a_second_request(case: Case) -> None:
    playing = Playing()
    playing.setUp()
    playing.play(case)
    playing.tearDown()
