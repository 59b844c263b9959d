"""What the database service answers, with time and the store under control."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from scalability.api.routes import routes
from scalability.database.config import DatabaseOptions
from scalability.database.records import SCHEMA, Records
from scalability.database.service import Desk, application, metrics_of
from scalability.testing.stores import InlineStore

URL = "http://localhost"


class ServiceTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.store = InlineStore(SCHEMA, Path(folder.name) / "db")
        self.store.startService()
        self.addCleanup(self.store.stopService)
        self.clock = Clock()
        self.records = Records(self.store, self.clock.seconds)
        self.records.startService()
        self.use(DatabaseOptions())

    def use(self, options: DatabaseOptions) -> None:
        self.desk = Desk(self.clock, options)
        self.treq: Any = StubTreq(routes(application(self.records, self.desk, self.store)))

    def ask(self, method: str, path: str, data: bytes | None = None, **headers: str) -> tuple[int, Any, Any]:
        answer = self.successResultOf(self.treq.request(method, URL + path, data=data, headers=headers))
        body = self.successResultOf(answer.content())
        return answer.code, self.successResultOf(answer.json()) if body else None, answer.headers

    def put(self, key: str, body: bytes = b"1", kind: str = "application/json") -> tuple[int, Any, Any]:
        return self.ask("PUT", f"/db/{key}", body, **{"Content-Type": kind})

    def test_db_answers_the_message(self) -> None:
        assert self.ask("GET", "/db")[:2] == (200, {"message": "Fetched fresh data from DB"})

    def test_a_record_is_answered_as_it_was_sent(self) -> None:
        code, body, headers = self.put("user/1", b' {"name": "Ada", "n": 12345678901234567890123} ')
        assert (code, body) == (201, {"status": "created", "key": "user/1"})
        assert headers.getRawHeaders("location") == ["/db/user/1"]
        answer = self.successResultOf(self.treq.get(f"{URL}/db/user/1"))
        assert self.successResultOf(answer.content()) == b'{"name": "Ada", "n": 12345678901234567890123}'
        assert answer.headers.getRawHeaders("content-type") == ["application/json"]

    def test_replacing_and_deleting(self) -> None:
        self.put("k")
        assert self.put("k", b"2")[:2] == (200, {"status": "replaced", "key": "k"})
        assert self.ask("DELETE", "/db/k")[:2] == (200, {"status": "deleted", "key": "k"})
        code, body, _ = self.ask("DELETE", "/db/k")
        assert (code, body["error"]) == (404, "not_found")
        assert self.ask("GET", "/db/k")[0] == 404

    def test_the_lab_s_message_is_not_a_record(self) -> None:
        assert self.ask("DELETE", "/db/message")[0] == 404
        assert self.ask("GET", "/db")[0] == 200

    def test_keys_are_any_text(self) -> None:
        for key in ("a b", "ü/日本", "/leading", "trailing/", "a//b", "?x=1", "%", "..", "\0"):
            encoded = "".join(f"%{byte:02X}" for byte in key.encode())
            assert self.put(encoded)[:2] == (201, {"status": "created", "key": key}), key
            assert self.ask("GET", f"/db/{encoded}")[:2] == (200, 1), key

    def test_bad_keys_are_refused(self) -> None:
        code, body, _ = self.put("k" * 1025)
        assert (code, body["error"]) == (400, "bad_request")
        assert self.put("k" * 1024)[0] == 201
        assert self.ask("GET", "/db/")[0] == 404

    def test_bad_bodies_are_refused_and_nothing_is_kept(self) -> None:
        for body, kind, expected in (
            (b"{", "application/json", 400),
            (b"", "application/json", 400),
            (b'"\xff"', "application/json", 400),
            (b"[" * 5000, "application/json", 400),
            (b"a=1", "application/x-www-form-urlencoded", 415),
        ):
            code, answer, _ = self.put("k", body, kind)
            assert code == expected, body
            assert set(answer) == {"error", "message"}
        assert self.ask("GET", "/db/k")[0] == 404

    def test_pages_list_records_and_name_the_next(self) -> None:
        self.clock.advance(7)
        for key in ("a1", "a2", "a3", "b"):
            self.put(key, b'{"of":"%s"}' % key.encode())
        code, body, _ = self.ask("GET", "/db?prefix=a&limit=2")
        assert code == 200
        assert body == {
            "records": [{"key": k, "value": {"of": k}, "updated_at": 7.0} for k in ("a1", "a2")],
            "next": "a2",
        }
        assert [r["key"] for r in self.ask("GET", "/db?prefix=a&limit=2&after=a2")[1]["records"]] == ["a3"]
        everything = self.ask("GET", "/db?prefix=")[1]
        assert (len(everything["records"]), everything["next"]) == (4, None)

    def test_bad_queries_are_refused(self) -> None:
        for query in (
            "limit=0",
            "limit=1001",
            "limit=x",
            "limit=-1",
            "limit=" + "9" * 50,
            "prefix=%FF",
            "after=%FF",
            "prefx=a",
            "prefix=" + "k" * 1025,
        ):
            code, body, _ = self.ask("GET", f"/db?{query}")
            assert (code, body["error"]) == (400, "bad_request"), query

    def test_a_failing_store_is_a_503_with_retry_after_and_health_says_so(self) -> None:
        self.store.broken = "disk full"
        code, body, headers = self.put("k")
        assert (code, body["error"]) == (503, "store_unavailable")
        assert headers.getRawHeaders("retry-after") == ["1"]
        assert self.ask("GET", "/health")[:2] == (200, {"status": "ok", "store": "disk full", "records": 0, "running": 0, "waiting": 0})
        self.store.broken = None
        assert self.put("k")[0] == 201

    def test_a_put_is_answered_after_the_commit(self) -> None:
        self.store.held = True
        answering = self.treq.put(f"{URL}/db/k", data=b"1", headers={"Content-Type": "application/json"})
        self.assertNoResult(answering)
        self.store.release()
        self.treq.flush()
        assert self.successResultOf(answering).code == 201

    def test_other_methods_are_answered_405(self) -> None:
        assert self.ask("POST", "/db")[0] == 405
        assert self.ask("POST", "/db/k")[0] == 405

    def test_latency_makes_each_request_slower_and_concurrency_bounds_them(self) -> None:
        self.use(DatabaseOptions(latency_s=1.0, concurrency=2))
        asked = [Deferred.fromCoroutine(self.desk.serve(self.records.message)) for _ in range(4)]
        self.clock.advance(1)
        assert [d.called for d in asked] == [True, True, False, False]
        self.clock.advance(1)
        assert [self.successResultOf(d) for d in asked] == ["Fetched fresh data from DB"] * 4
        assert self.desk.duration.count == 4

    def test_the_line_has_a_thousand_places_and_then_says_no(self) -> None:
        self.use(DatabaseOptions(latency_s=1.0, concurrency=1))
        asked = [Deferred.fromCoroutine(self.desk.serve(lambda: succeed(None))) for _ in range(1001)]
        code, body, headers = self.ask("GET", "/db")
        assert (code, body["error"]) == (503, "overloaded")
        assert headers.getRawHeaders("retry-after") == ["1"]
        assert self.desk.refused == 1
        assert self.ask("GET", "/health")[0] == 200
        for d in asked:
            d.addErrback(lambda f: f.trap(CancelledError))
            d.cancel()

    def test_a_client_that_leaves_the_line_gives_its_place_up(self) -> None:
        self.use(DatabaseOptions(latency_s=1.0, concurrency=1))
        first = Deferred.fromCoroutine(self.desk.serve(lambda: succeed(1)))
        second = Deferred.fromCoroutine(self.desk.serve(lambda: succeed(2)))
        second.cancel()
        self.failureResultOf(second, CancelledError)
        assert self.desk.places.waiting == 0
        self.clock.advance(1)
        assert self.successResultOf(first) == 1

    def test_metrics_tell_what_was_done(self) -> None:
        self.put("k")
        metrics = {metric.name: next(iter(metric.read())).value for metric in metrics_of(self.desk, self.records, self.store)}
        assert metrics["scalelab_database_served_total"] == 1
        assert metrics["scalelab_database_records"] == 1
        assert metrics["scalelab_store_operations_total"] == 1
