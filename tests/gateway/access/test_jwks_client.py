"""Fetching key sets."""

from typing import Any

from treq.testing import StubTreq
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseNeverReceived
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET

from scalability.gateway.access.jwks import Fetched, FetchFailed
from scalability.gateway.access.jwks_client import KeySetClient, key_set_client
from scalability.gateway.access.key_set_url import KeySetURL

URL = KeySetURL.parse("http://issuer.test/keys")


class Published(Resource):
    def __init__(self) -> None:
        super().__init__()
        self.isLeaf = True
        self.status = 200
        self.document = b'{"keys": []}'
        self.fields: dict[str, str] = {}
        self.hangs = False
        self.gone = 0
        self.asked: list[Any] = []

    def render_GET(self, request: Any) -> Any:  # noqa: N802 - Twisted's name
        self.asked.append(request)
        request.setResponseCode(self.status)
        for name, value in self.fields.items():
            request.setHeader(name, value)
        if not self.hangs:
            return self.document
        request.notifyFinish().addErrback(self._gone)
        request.write(self.document)
        return NOT_DONE_YET

    def _gone(self, _: Failure) -> None:
        self.gone += 1


class KeySetClientTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.published = Published()
        self.treq: Any = StubTreq(self.published)
        self.client = KeySetClient(self.treq, URL, max_bytes=1000)

    def fetched(self) -> Fetched:
        fetching = self.client.fetch()
        self.treq.flush()
        return self.successResultOf(fetching)

    def failed(self) -> str:
        fetching = self.client.fetch()
        self.treq.flush()
        return str(self.failureResultOf(fetching, FetchFailed).value)

    def test_the_document_and_its_max_age(self) -> None:
        for said, wanted in (
            ("max-age=60", 60.0),
            ("public, Max-Age=86400, must-revalidate", 86400.0),
            ('max-age="5"', 5.0),
            ("s-maxage=60", None),
            ("max-age=-1", None),
            ("max-age=9999999999", None),
            ("max-age=60, no-store", 0.0),
            ("no-cache", 0.0),
        ):
            self.published.fields = {"cache-control": said}
            assert self.fetched() == (b'{"keys": []}', wanted), said
        self.published.fields = {}
        assert self.fetched().max_age_s is None

    def test_another_status_is_a_failure_redirects_too(self) -> None:
        for status in (204, 302, 404, 500):
            self.published.status = status
            self.published.fields = {"location": "http://elsewhere.test/"}
            assert self.failed() == f"answers with status {status}"
        assert len(self.published.asked) == 4

    def test_a_document_has_a_bound(self) -> None:
        self.published.document = b"x" * 1000
        assert len(self.fetched().document) == 1000
        self.published.document = b"x" * 1001
        assert self.failed() == "is larger than a key set may be"

    def test_a_document_without_end_is_cut_off(self) -> None:
        self.published.document = b"x" * 1001
        self.published.hangs = True
        assert self.failed() == "is larger than a key set may be"
        self.treq.flush()
        assert self.published.gone == 1

    def test_cancelling_in_the_middle_closes_the_connection(self) -> None:
        self.published.hangs = True
        fetching = self.client.fetch()
        self.treq.flush()
        self.assertNoResult(fetching)
        fetching.cancel()
        self.treq.flush()
        self.failureResultOf(fetching, CancelledError)
        assert self.published.gone == 1

    def test_a_server_that_breaks_off_or_cannot_be_reached_is_a_failure(self) -> None:
        class Broken:
            def __init__(self, error: Exception) -> None:
                self.error = error

            async def get(self, *_: Any, **__: Any) -> None:
                raise self.error

        for error, said in (
            (ConnectError(), "cannot be reached: An error occurred while connecting."),
            (ResponseNeverReceived([Failure(ConnectError())]), "breaks off: An error occurred while connecting."),
        ):
            fetching = KeySetClient(Broken(error), URL).fetch()
            assert str(self.failureResultOf(fetching, FetchFailed).value) == said


def test_one_on_the_network_can_be_made() -> None:
    from twisted.internet.task import Clock

    assert isinstance(key_set_client(Clock(), URL), KeySetClient)
