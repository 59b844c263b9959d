"""What people do with Klein and treq, on a real socket: every habit works on net's server as on twisted.web's own."""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
import treq
from klein import Klein, Plating, RequestURL, Requirer, Response
from klein.interfaces import IKleinRequest
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred, DeferredList, inlineCallbacks, succeed  # noqa: TID251 - others write it, and it must work
from twisted.internet.task import Cooperator, deferLater
from twisted.internet.threads import deferToThread
from twisted.web import static
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool, ResponseFailed
from twisted.web.guard import BasicCredentialFactory, HTTPAuthSessionWrapper
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET
from twisted.web.static import File
from twisted.web.template import Element, TagLoader, renderer, slot, tags
from twisted.web.util import Redirect, redirectTo
from twisted.web.wsgi import WSGIResource
from zope.interface import implementer

from scalability.api.adapter import APIFactory
from scalability.api.json import json_answer, read_json
from scalability.api.mount import mount
from scalability.api.streaming import Body, streamed
from scalability.errors import NotFound
from scalability.net.transport import listen_tcp

BIG = 5_000_000


class Greeting(Element):
    """A page of twisted.web's templates."""

    loader = TagLoader(tags.p("Hello, ", tags.b(render="who")))

    @renderer
    def who(self, request: Any, tag: Any) -> Any:
        return succeed(tag("<you>"))


class Old(Resource):
    """A resource as they were written before Klein."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def __init__(self, reactor: Any) -> None:
        super().__init__()
        self._reactor = reactor

    def render_GET(self, request: Any) -> int:  # noqa: N802 - Twisted's name
        self._reactor.callLater(0, self._later, request)
        return NOT_DONE_YET

    def render_POST(self, request: Any) -> bytes:  # noqa: N802 - Twisted's name
        return b"%b posted" % request.content.read()

    def _later(self, request: Any) -> None:
        request.write(b"old ")
        request.write(b"ways")
        request.finish()


class Habits:
    """The app; what its routes noticed stands in ``notes``."""

    def __init__(self, reactor: Any, folder: Path) -> None:
        self.notes: list[Any] = []
        self.app = app = Klein()
        self.client: Site | None = None
        notes = self.notes

        @app.route("/bytes")
        def in_bytes(request: IRequest) -> bytes:
            return b"bytes"

        @app.route("/text")
        def text(request: IRequest) -> str:
            return "täxt"

        @app.route("/none")
        def none(request: IRequest) -> None:
            return None

        @app.route("/deferred")
        def deferred(request: IRequest) -> Any:
            return deferLater(reactor, 0.01, lambda: b"deferred")

        @app.route("/coroutine")
        async def coroutine(request: IRequest) -> bytes:
            await deferLater(reactor, 0.01)
            return b"coroutine"

        @app.route("/thread")
        async def thread(request: IRequest) -> Any:
            return await deferToThread(lambda: b"thread")

        @app.route("/element")
        def element(request: IRequest) -> Any:
            return Greeting()

        @app.route("/response")
        async def response(request: IRequest) -> Any:
            return Response(201, {"X-Made": ["a", "b"]}, "made")

        @app.route("/old", branch=True)
        def old(request: IRequest) -> Any:
            return Old(reactor)

        @app.route("/files/", branch=True)
        def files(request: IRequest) -> Any:
            return File(str(folder))

        @app.route("/data")
        def data(request: IRequest) -> Any:
            return static.Data(b'{"a": 1}', "application/json")

        @app.route("/moved")
        def moved(request: Any) -> bytes:
            request.redirect(b"/bytes")
            return b""

        @app.route("/moved/page")
        def moved_page(request: Any) -> bytes:
            return redirectTo(b"/bytes", request)

        @app.route("/moved/resource")
        def moved_resource(request: Any) -> Any:
            return Redirect(b"/bytes")

        @app.route("/cookies")
        def cookies(request: Any) -> bytes:
            request.addCookie(b"seen", b"1", httpOnly=True, path=b"/")
            request.addCookie(b"again", b"2")
            return b"seen before" if request.getCookie(b"seen") else b"first time"

        @app.route("/session")
        def session(request: Any) -> bytes:
            found = request.getSession()
            found.visits = getattr(found, "visits", 0) + 1
            return b"%d" % found.visits

        @app.route("/write")
        async def write(request: Any) -> None:
            for n in range(5):
                request.write(b"piece %d\n" % n)
                await deferLater(reactor, 0.005)
            request.finish()

        @app.route("/big")
        def big(request: Any) -> bytes:
            return b"x" * BIG

        @app.route("/big/written")
        async def big_written(request: Any) -> None:
            request.setHeader(b"content-length", b"%d" % BIG)
            for _ in range(BIG // 50_000):
                request.write(b"y" * 50_000)
            request.finish()

        @app.route("/big/pulled")
        def big_pulled(request: Any) -> Any:
            with open(folder / "big.bin", "rb") as file:
                content = file.read()
            done: Deferred[None] = Deferred()
            request.registerProducer(Pull(request, content, done), False)
            return done

        @app.route("/big/pushed")
        def big_pushed(request: Any) -> Any:
            return Push(reactor, request, notes).done

        @app.route("/finished")
        async def finished(request: Any) -> bytes:
            request.notifyFinish().addBoth(lambda result: notes.append(("finished", result)))
            return b"finished"

        @app.route("/waits")
        def waits(request: Any) -> Any:
            request.notifyFinish().addErrback(lambda failure: notes.append(("left", failure.type.__name__)))
            return Deferred(lambda deferred: notes.append("cancelled"))

        @app.route("/args")
        def args(request: Any) -> bytes:
            return json_answer(request, {k.decode("latin-1"): [v.decode("latin-1") for v in vs] for k, vs in request.args.items()})

        @app.route("/form", methods=["POST"])
        def form(request: Any) -> bytes:
            return json_answer(request, {k.decode(): [v.decode() for v in vs] for k, vs in request.args.items()})

        @app.route("/json", methods=["POST", "PUT"])
        def in_json(request: Any) -> bytes:
            return json_answer(request, read_json(request, dict))

        @app.route("/body", methods=["POST", "PUT", "PATCH"])
        def body(request: Any) -> bytes:
            content = request.content.read()
            request.content.seek(0)
            return json_answer(request, [len(content), request.content.read() == content, request.getHeader("content-type")])

        @app.route("/upload", methods=["POST", "PUT"])
        @streamed(max_body_bytes=1 << 30)
        async def upload(request: Any, body: Body) -> bytes:
            pieces = 0
            async for piece in body:
                assert piece
                pieces += 1
            return json_answer(request, [body.received_bytes, pieces > 1])

        @app.route("/relay", methods=["POST"])
        @streamed(max_body_bytes=1 << 30)
        async def relay(request: Any, body: Body) -> bytes:
            assert self.client is not None
            answer = await self.client.ask("PUT", "/upload", data=body)
            return json_answer(request, await answer.json())

        @app.route("/who", methods=["GET", "PUT", "DELETE", "OPTIONS", "BREW"])
        def who(request: Any) -> bytes:
            peer = request.getClientAddress()
            seen = [request.method.decode(), peer.host, request.isSecure(), request.getHost().host, request.getUser().decode()]
            return json_answer(request, [*seen, request.getPassword().decode(), request.getHeader("user-agent")])

        @app.route("/item/<int:n>/<path:rest>", strict_slashes=False)
        def item(request: Any, n: int, rest: str) -> bytes:
            return json_answer(request, [n, rest])

        @app.route("/etag")
        def etag(request: Any) -> bytes:
            return b"" if request.setETag(b'"v1"') else b"version 1"

        @app.route("/dated")
        def dated(request: Any) -> bytes:
            return b"" if request.setLastModified(1_000_000_000) else b"dated"

        with app.subroute("/v2") as v2:

            @v2.route("/bytes")
            def v2_bytes(request: IRequest) -> bytes:
                return b"version 2"

        @app.route("/inline")
        @inlineCallbacks
        def inline(request: IRequest) -> Any:
            yield deferLater(reactor, 0.01)
            return b"inline"

        @app.route("/chained")
        def chained(request: IRequest) -> Any:
            return deferLater(reactor, 0.01, lambda: b"chained").addCallback(bytes.upper)

        @app.route("/teapot")
        def teapot(request: Any) -> bytes:
            request.setResponseCode(418, b"short and stout")
            return b"tea"

        @app.route("/fields")
        def fields(request: Any) -> bytes:
            request.responseHeaders.setRawHeaders("x-made", ["a", "b"])
            request.responseHeaders.addRawHeader(b"vary", b"accept")
            sent = [request.requestHeaders.getRawHeaders("x-sent"), request.getHeader("X-SENT"), request.getHeader(b"x-none")]
            return json_answer(request, [*sent, request.getAllHeaders()[b"x-sent"].decode()])

        @app.route("/link")
        def link(request: Any) -> bytes:
            here = request.URLPath()
            return json_answer(request, [IKleinRequest(request).url_for("item", {"n": 3, "rest": "a b"}), str(here), str(here.child(b"x"))])

        page = Plating(tags=tags.div(tags.h1(slot("title")), slot(Plating.CONTENT)), defaults={"title": "Plated"})

        @page.routed(app.route("/plated"), tags.p(slot("what")))
        def plated(request: IRequest) -> dict[str, str]:
            return {"what": "content"}

        requirer = Requirer()

        @requirer.require(app.route("/required"), url=RequestURL())  # type: ignore[arg-type]  # its declaration is lost on mypy
        def required(url: Any) -> bytes:
            return b"required " + "/".join(url.path).encode()

        @app.route("/wsgi", branch=True)
        def wsgi(request: IRequest) -> Any:
            return WSGIResource(reactor, reactor.getThreadPool(), old_app)

        @app.route("/guarded", branch=True)
        def guarded(request: IRequest) -> Any:
            return HTTPAuthSessionWrapper(Portal(Realm(), [passwords()]), [BasicCredentialFactory(b"here")])

        @app.route("/conflict")
        def conflict(request: IRequest) -> bytes:
            raise LookupError("twice")

        @app.handle_errors(LookupError)
        async def lookup_failed(request: Any, failure: Any) -> bytes:
            await deferLater(reactor, 0.01)
            request.setResponseCode(409)
            return f"it was {failure.value}".encode()

        @app.route("/abandoned")
        def abandoned(request: Any) -> None:
            request.setHeader("content-type", "text/plain")
            request.write(b"half")
            request.loseConnection()

        @app.route("/missing")
        async def missing(request: IRequest) -> bytes:
            raise NotFound("nothing here")

        @app.route("/broken")
        async def broken(request: IRequest) -> bytes:
            raise ZeroDivisionError

        @app.route("/broken/midway")
        async def broken_midway(request: Any) -> bytes:
            request.write(b"half")
            await deferLater(reactor, 0)
            raise ZeroDivisionError


def old_app(environ: dict[str, Any], start: Any) -> list[bytes]:
    """A WSGI application."""
    body = environ["wsgi.input"].read()
    start("201 Created", [("Content-Type", "text/plain"), ("X-Server", environ["SERVER_NAME"])])
    return [b"wsgi ", environ["PATH_INFO"].encode(), b" ", environ["QUERY_STRING"].encode(), b" ", body]


class Secret(Resource):
    """For who has a password."""

    isLeaf = True  # noqa: N815 - Twisted's name

    def render_GET(self, request: Any) -> bytes:  # noqa: N802 - Twisted's name
        return b"hello, %b" % request.getUser()


@implementer(IRealm)
class Realm:
    """Shows everybody the same."""

    def requestAvatar(self, avatar_id: Any, mind: Any, *interfaces: Any) -> Any:  # noqa: N802 - Twisted's name
        return IResource, Secret(), lambda: None


def passwords() -> Any:
    known = InMemoryUsernamePasswordDatabaseDontUse()
    known.addUser(b"ann", b"secret")
    return known


class Pull:
    """A pull producer of ``content``, as twisted.web's own for files."""

    def __init__(self, request: Any, content: bytes, done: Deferred[None]) -> None:
        self.request = request
        self.content = content
        self.done = done

    def resumeProducing(self) -> None:
        self.request.write(self.content[:40_000])
        self.content = self.content[40_000:]
        if not self.content:
            self.request.unregisterProducer()
            self.done.callback(None)

    def stopProducing(self) -> None:
        self.done.errback(ConnectionError("stopped"))


class Push:
    """A push producer that goes on by itself until it is paused."""

    def __init__(self, reactor: Any, request: Any, notes: list[Any]) -> None:
        self.reactor = reactor
        self.request = request
        self.notes = notes
        self.left = BIG
        self.paused = False
        self.done: Deferred[None] = Deferred()
        request.registerProducer(self, True)
        reactor.callLater(0, self.go_on)

    def go_on(self) -> None:
        while self.left and not self.paused:
            self.request.write(b"p" * 50_000)
            self.left -= 50_000
        if not self.left:
            self.request.unregisterProducer()
            self.done.callback(None)

    def pauseProducing(self) -> None:
        self.notes.append("paused")
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False
        self.reactor.callLater(0, self.go_on)

    def stopProducing(self) -> None:
        self.paused = True


class Site:
    """The app on a port of 127.0.0.1, and a treq client of it."""

    def __init__(self, reactor: Any, folder: Path) -> None:
        self.reactor = reactor
        self.habits = Habits(reactor, folder)
        self.habits.client = self
        self.factory: APIFactory = mount(self.habits.app, reactor=reactor)
        self.listening = listen_tcp(reactor, "127.0.0.1", 0, self.factory)
        self.port: int = self.listening.getHost().port  # type: ignore[attr-defined]
        self.pool = HTTPConnectionPool(reactor, persistent=True)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def ask(self, method: str, path: str, **more: Any) -> Any:
        return await treq.request(method, self.url(path), pool=self.pool, timeout=20, **more)

    async def get(self, path: str, **more: Any) -> tuple[int, bytes]:
        answer = await self.ask("GET", path, **more)
        return answer.code, await answer.content()

    async def close(self) -> None:
        await self.pool.closeCachedConnections()
        await self.listening.stopListening()  # type: ignore[misc]
        await self.factory.drain(1.0)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    from twisted.internet import reactor

    (tmp_path / "big.bin").write_bytes(bytes(range(256)) * 4000)
    (tmp_path / "page.html").write_bytes(b"<p>page</p>")
    made = Site(reactor, tmp_path)
    yield made
    pytest_twisted.blockon(Deferred.fromCoroutine(made.close()))


async def raw(site: Site, data: bytes) -> bytes:
    """What a client that sends ``data`` and a FIN reads until the end; on a thread, for the server runs here."""

    def talk() -> bytes:
        received = b""
        with socket.create_connection(("127.0.0.1", site.port), 10) as connection:
            connection.sendall(data)
            while piece := connection.recv(65536):
                received += piece
        return received

    return await deferToThread(talk)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/bytes", b"bytes"),
        ("/text", "täxt".encode()),
        ("/none", b""),
        ("/deferred", b"deferred"),
        ("/coroutine", b"coroutine"),
        ("/thread", b"thread"),
        ("/element", b"<!DOCTYPE html>\n<p>Hello, <b>&lt;you&gt;</b></p>"),
        ("/old", b"old ways"),
        ("/old/any/depth", b"old ways"),
        ("/files/page.html", b"<p>page</p>"),
        ("/data", b'{"a": 1}'),
        ("/write", b"".join(b"piece %d\n" % n for n in range(5))),
        ("/v2/bytes", b"version 2"),
        ("/item/7/a/b%20c", b'[7,"a/b c"]'),
        ("/etag", b"version 1"),
        ("/dated", b"dated"),
        ("/inline", b"inline"),
        ("/chained", b"CHAINED"),
        ("/plated", b"<!DOCTYPE html>\n<div><h1>Plated</h1><p>content</p></div>"),
        ("/plated?json=1", b'{"title": "Plated", "what": "content"}'),
        ("/required", b"required required"),
    ],
)
async def test_whatever_a_route_does_to_answer_arrives(site: Site, path: str, body: bytes) -> None:
    assert await site.get(path) == (200, body)
    assert await site.get(path) == (200, body), "and again, on the same connection"
    assert site.factory.counts.accepted == 1


@pytest.mark.parametrize(
    "path", ["/bytes", "/text", "/deferred", "/coroutine", "/element", "/old", "/files/page.html", "/data", "/write", "/response", "/etag"]
)
async def test_head_has_no_body_and_the_connection_goes_on(site: Site, path: str) -> None:
    for _ in range(2):
        answer = await site.ask("HEAD", path)
        assert answer.code in (200, 201)
        assert await answer.content() == b""
    assert site.factory.counts.accepted == 1
    assert (await site.get("/bytes")) == (200, b"bytes")


async def test_head_of_a_file_says_its_length(site: Site) -> None:
    answer = await site.ask("HEAD", "/files/big.bin")
    assert answer.headers.getRawHeaders("content-length") == ["1024000"]
    await answer.content()


async def test_a_response_object_has_its_status_and_fields(site: Site) -> None:
    answer = await site.ask("GET", "/response")
    assert (answer.code, answer.headers.getRawHeaders("x-made")) == (201, ["a", "b"])
    assert await answer.text() == "made"


async def test_a_status_may_have_a_reason_of_its_own(site: Site) -> None:
    answer = await raw(site, b"GET /teapot HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 418 short and stout\r\n")


async def test_fields_are_read_and_written_in_every_way(site: Site) -> None:
    answer = await site.ask("GET", "/fields", headers={"X-Sent": ["1", "2"]})
    assert await answer.json() == [["1", "2"], "2", None, "2"]
    assert answer.headers.getRawHeaders("x-made") == ["a", "b"]
    assert answer.headers.getRawHeaders("vary") == ["accept"]


async def test_a_route_can_make_links_to_others_and_to_itself(site: Site) -> None:
    answer = await raw(site, b"GET /link HTTP/1.1\r\nHost: shop.example\r\nConnection: close\r\n\r\n")
    here = f"http://shop.example:{site.port}/link"
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == ["/item/3/a%20b", here, f"{here}/x"]


async def test_a_wsgi_application_is_a_resource(site: Site) -> None:
    answer = await site.ask("POST", "/wsgi/a/b?q=1", data=b"body")
    assert (answer.code, await answer.content()) == (201, b"wsgi /a/b q=1 body")
    assert answer.headers.getRawHeaders("x-server") == ["127.0.0.1"]


async def test_credentials_are_asked_for_and_checked(site: Site) -> None:
    answer = await site.ask("GET", "/guarded")
    assert (answer.code, answer.headers.getRawHeaders("www-authenticate")) == (401, ['basic realm="here"'])
    await answer.content()
    assert await site.get("/guarded", auth=("ann", "wrong")) == (401, b"Unauthorized")
    assert await site.get("/guarded", auth=("ann", "secret")) == (200, b"hello, ann")


async def test_an_app_s_own_error_handlers_come_first(site: Site) -> None:
    assert await site.get("/conflict") == (409, b"it was twice")


async def test_an_answer_that_is_abandoned_is_seen_to_break(site: Site) -> None:
    answer = await site.ask("GET", "/abandoned")
    with pytest.raises(ResponseFailed):
        await answer.content()


@pytest.mark.parametrize("path", ["/moved", "/moved/page", "/moved/resource"])
async def test_redirects_lead_on(site: Site, path: str) -> None:
    answer = await site.ask("GET", path)
    assert await answer.content() == b"bytes"
    assert [r.code for r in answer.history()] == [302]
    plain = await site.ask("GET", path, allow_redirects=False)
    assert (plain.code, plain.headers.getRawHeaders("location")) == (302, ["/bytes"])
    await plain.content()


async def test_cookies_are_set_one_to_a_line_and_come_back(site: Site) -> None:
    answer = await site.ask("GET", "/cookies")
    assert await answer.content() == b"first time"
    assert len(answer.headers.getRawHeaders("set-cookie")) == 2
    assert (await site.get("/cookies", cookies=answer.cookies()))[1] == b"seen before"


async def test_a_session_lasts_from_request_to_request_and_ends_by_itself(site: Site) -> None:
    answer = await site.ask("GET", "/session")
    assert await answer.content() == b"1"
    assert (await site.get("/session", cookies=answer.cookies()))[1] == b"2"
    assert (await site.get("/session", cookies={"TWISTED_SESSION": "made up"}))[1] == b"1"
    for session in list(site.factory.sessions.values()):
        session.expire()
    assert not site.factory.sessions
    assert (await site.get("/session", cookies=answer.cookies()))[1] == b"1"
    for session in list(site.factory.sessions.values()):
        session.expire()


async def test_there_are_not_any_number_of_sessions(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scalability.api.adapter.MAX_SESSIONS", 1)
    assert (await site.get("/session"))[0] == 200
    assert (await site.get("/session"))[0] == 503
    for session in list(site.factory.sessions.values()):
        session.expire()


@pytest.mark.parametrize("path", ["/big", "/big/written", "/big/pulled", "/big/pushed", "/files/big.bin"])
async def test_large_answers_arrive_whole_also_for_a_slow_reader(site: Site, path: str) -> None:
    fast = (await site.get(path))[1]
    assert len(fast) == (BIG if path.startswith("/big") and path != "/big/pulled" else 1_024_000)

    def slowly() -> bytes:
        received = b""
        with socket.socket() as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            connection.settimeout(10)
            connection.connect(("127.0.0.1", site.port))
            connection.sendall(b"GET %b HTTP/1.0\r\nHost: h\r\n\r\n" % path.encode())
            while piece := connection.recv(30_000):
                received += piece
        return received.partition(b"\r\n\r\n")[2]

    assert await deferToThread(slowly) == fast
    if path == "/big/pushed":
        assert "paused" in site.habits.notes


async def test_ranges_of_a_file(site: Site) -> None:
    answer = await site.ask("GET", "/files/big.bin", headers={"Range": "bytes=256-259"})
    assert answer.code == 206
    assert await answer.content() == bytes(range(4))
    assert answer.headers.getRawHeaders("content-range") == ["bytes 256-259/1024000"]
    several = await site.ask("GET", "/files/big.bin", headers={"Range": "bytes=0-1,-2"})
    assert several.code == 206
    body = await several.content()
    assert several.headers.getRawHeaders("content-type")[0].startswith("multipart/byteranges")
    assert body.count(b"Content-range: bytes") == 2
    beyond = await site.ask("GET", "/files/big.bin", headers={"Range": "bytes=2000000-"})
    assert beyond.code == 416
    await beyond.content()
    assert site.factory.counts.accepted == 1


async def test_what_is_not_modified_is_304_without_a_body(site: Site) -> None:
    first = await site.ask("GET", "/files/page.html")
    await first.content()
    for path, field in (
        ("/files/page.html", {"If-Modified-Since": first.headers.getRawHeaders("last-modified")[0]}),
        ("/etag", {"If-None-Match": '"v1"'}),
        ("/dated", {"If-Modified-Since": "Sun, 09 Sep 2001 01:46:40 GMT"}),
    ):
        answer = await site.ask("GET", path, headers=field)
        assert answer.code == 304
        assert answer.headers.getRawHeaders("content-length") in (None, ["11"]), "never the length of nothing"
        assert await answer.content() == b""
    assert (await site.get("/etag", headers={"If-None-Match": '"v0"'})) == (200, b"version 1")
    assert site.factory.counts.accepted == 1


async def test_a_file_that_is_not_there_and_a_path_out_of_the_folder_are_404(site: Site) -> None:
    for path in (b"/files/none", b"/files/../../etc/passwd", b"/files/%2e%2e/%2e%2e/etc/passwd", b"/files/..%2f..%2fetc/passwd"):
        answer = await raw(site, b"GET " + path + b" HTTP/1.0\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 404 "), path


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("?a=1&a=2&b=", {"a": ["1", "2"], "b": [""]}),
        ("?name=M%C3%BCller&x=%ff&c", {"name": ["M\xc3\xbcller"], "x": ["\xff"], "c": [""]}),
        ("?a+b=c+d&&=", {"a b": ["c d"], "": [""]}),
        ("", {}),
    ],
)
async def test_query_arguments_are_the_bytes_that_they_stand_for(site: Site, query: str, wanted: dict[str, list[str]]) -> None:
    answer = await raw(site, f"GET /args{query} HTTP/1.0\r\n\r\n".encode())
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == wanted


async def test_treq_s_params_forms_and_files_arrive(site: Site) -> None:
    answer = await site.ask("GET", "/args", params={"a": ["1", "2"], "b": "c d"})
    assert await answer.json() == {"a": ["1", "2"], "b": ["c d"]}
    answer = await site.ask("POST", "/form", data={"name": "Müller", "n": ["1", "2"]})
    assert await answer.json() == {"name": ["Müller"], "n": ["1", "2"]}
    answer = await site.ask("POST", "/form?q=1", data={"name": "x"}, files={"file": ("a.txt", b"content\r\n--of it")})
    assert await answer.json() == {"q": ["1"], "name": ["x"], "file": ["content\r\n--of it"]}
    answer = await site.ask("POST", "/json", json={"a": [1, None, "ü"]})
    assert await answer.json() == {"a": [1, None, "ü"]}
    answer = await site.ask("PUT", "/json", json={})
    assert await answer.json() == {}


@pytest.mark.parametrize(
    ("kind", "body"),
    [("multipart/form-data", b"no form"), ("application/x-www-form-urlencoded", b"a&" * 20_000)],
    ids=["multipart", "many"],
)
async def test_a_form_that_is_none_is_400(site: Site, kind: str, body: bytes) -> None:
    answer = await site.ask("POST", "/form", data=body, headers={"Content-Type": kind})
    assert answer.code == 400
    assert (await answer.json())["error"] == "bad_request"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
async def test_a_body_is_in_content_and_may_be_read_again(site: Site, method: str) -> None:
    answer = await site.ask(method, "/body", data=b"x" * 300_000, headers={"Content-Type": "text/x"})
    assert await answer.json() == [300_000, True, "text/x"]


async def test_chunked_uploads_arrive_and_stream_to_those_who_ask(site: Site, tmp_path: Path) -> None:
    (tmp_path / "up").write_bytes(b"u" * 900_000)
    for path, wanted in (("/body", [900_000, True, None]), ("/upload", [900_000, True])):
        with open(tmp_path / "up", "rb") as file:
            producer = FileBodyProducer(file, cooperator=Cooperator(scheduler=lambda call: site.reactor.callLater(0, call)))
            producer.length = UNKNOWN_LENGTH  # so it goes out in chunks
            answer = await site.ask("POST", path, data=producer)
        assert await answer.json() == wanted


async def test_a_streamed_upload_may_be_larger_than_what_other_routes_take(site: Site) -> None:
    data = b"x" * 3_000_000
    answer = await site.ask("PUT", "/upload", data=data)
    assert await answer.json() == [3_000_000, True]
    refused = await site.ask("PUT", "/body", data=data)
    assert refused.code == 413
    await refused.content()


async def test_a_body_may_be_handed_on_to_another_server_as_it_comes(site: Site) -> None:
    answer = await site.ask("POST", "/relay", data=b"x" * 3_000_000)
    assert await answer.json() == [3_000_000, True]


async def test_methods_addresses_and_credentials_are_known(site: Site) -> None:
    for method in ("GET", "PUT", "DELETE", "OPTIONS", "BREW"):
        answer = await site.ask(method, "/who", auth=("ann", "secret"), headers={"User-Agent": "t"})
        assert await answer.json() == [method, "127.0.0.1", False, "127.0.0.1", "ann", "secret", "t"]
    refused = await site.ask("POST", "/who")
    assert (refused.code, "GET" in refused.headers.getRawHeaders("allow")[0]) == (405, True)
    await refused.content()


async def test_who_wants_to_know_hears_of_the_end_of_an_answer(site: Site) -> None:
    assert await site.get("/finished") == (200, b"finished")
    assert site.habits.notes == [("finished", None)]


async def test_a_client_that_leaves_is_heard_of_and_cancels_the_route(site: Site) -> None:
    def leave() -> None:
        with socket.create_connection(("127.0.0.1", site.port), 10) as connection:
            connection.sendall(b"GET /waits HTTP/1.1\r\nHost: h\r\n\r\n")

    await deferToThread(leave)
    for _ in range(200):
        if len(site.habits.notes) == 2:
            break
        await deferLater(site.reactor, 0.01)
    assert sorted(map(str, site.habits.notes)) == ["('left', 'ClientGone')", "cancelled"]


async def test_pipelined_requests_of_all_kinds_are_answered_in_order(site: Site) -> None:
    def ask(path: str, more: str = "") -> bytes:
        return f"GET {path} HTTP/1.1\r\nHost: h\r\n{more}\r\n".encode()

    paths = ["/coroutine", "/bytes", "/write", "/files/page.html", "/deferred", "/text"]
    answer = await raw(site, b"".join(ask(path) for path in paths) + ask("/bytes", "Connection: close\r\n"))
    places = [answer.index(body) for body in (b"coroutine", b"bytes", b"piece 4", b"<p>page", b"deferred", "täxt".encode())]
    assert places == sorted(places)
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 7


async def test_expect_100_continue(site: Site) -> None:
    def talk(path: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", site.port), 10) as connection:
            connection.sendall(
                b"PUT " + path + b" HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
            )
            first = connection.recv(1000)
            assert first == b"HTTP/1.1 100 Continue\r\n\r\n"
            connection.sendall(b"body")
            received = b""
            while piece := connection.recv(65536):
                received += piece
        return received

    for path in (b"/body", b"/upload"):
        assert (await deferToThread(talk, path)).startswith(b"HTTP/1.1 200 ")


async def test_errors_are_json_and_what_breaks_midway_is_seen_to_break(site: Site, logged_failures: Any) -> None:
    answer = await site.ask("GET", "/missing")
    assert (answer.code, await answer.json()) == (404, {"error": "not_found", "message": "nothing here"})
    answer = await site.ask("GET", "/broken")
    assert (answer.code, (await answer.json())["error"]) == (500, "internal_error")
    midway = await site.ask("GET", "/broken/midway")
    with pytest.raises(ResponseFailed):
        await midway.content()
    assert len(logged_failures.flush(ZeroDivisionError)) == 2


async def test_twisted_s_own_agent_is_a_client_like_any_other(site: Site) -> None:
    agent = Agent(site.reactor, pool=site.pool)
    answers = await DeferredList(
        [agent.request(b"GET", site.url("/bytes").encode(), Headers({"X": ["y"]})).addCallback(treq.content) for _ in range(20)]
    )
    assert answers == [(True, b"bytes")] * 20


async def test_a_treq_answer_may_be_collected_as_it_comes(site: Site) -> None:
    answer = await site.ask("GET", "/files/big.bin", unbuffered=True)
    pieces: list[bytes] = []
    collect: Callable[[bytes], None] = pieces.append
    await treq.collect(answer, collect)
    assert sum(map(len, pieces)) == 1_024_000
    assert len(pieces) > 1
