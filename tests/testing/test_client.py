import sys
from collections.abc import Callable

import pytest

from scalability.testing.client import HTTPClient
from scalability.testing.processes import Process

ECHO = """
import http.server, json
class Echo(http.server.BaseHTTPRequestHandler):
    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        told = json.dumps({"method": self.command, "path": self.path, "body": body, "type": self.headers.get("Content-Type")}).encode()
        self.send_response(207)
        self.send_header("Content-Length", str(len(told)))
        self.send_header("X-Two", "a")
        self.send_header("X-Two", "b")
        self.end_headers()
        self.wfile.write(told)
    do_GET = do_POST = do_PUT = do_DELETE = answer
    def log_message(self, *_):
        pass
server = http.server.HTTPServer(("127.0.0.1", 0), Echo)
print(f"echo listens on 127.0.0.1:{server.server_port}")
server.serve_forever()
"""


@pytest.fixture
def port(run: Callable[..., Process]) -> int:
    return run(sys.executable, "-u", "-c", ECHO).wait_listening()


def test_an_answer_has_status_headers_and_body(port: int, http: HTTPClient) -> None:
    answer = http.get(port, "/a?b=c")
    assert answer.status == 207
    assert answer.headers["x-two"] == "a, b"
    assert answer.json() == {"method": "GET", "path": "/a?b=c", "body": "", "type": None}


def test_json_is_sent_as_json(port: int, http: HTTPClient) -> None:
    told = http.put(f"http://127.0.0.1:{port}", "/x", json={"task": "report"}).json()
    assert told == {"method": "PUT", "path": "/x", "body": '{"task": "report"}', "type": "application/json"}


def test_a_body_is_sent_as_it_is(port: int, http: HTTPClient) -> None:
    assert http.post(port, "/x", body=b"not json", headers={"Content-Type": "text/plain"}).json()["body"] == "not json"
    assert http.delete(port, "/x").json()["method"] == "DELETE"


def test_raw_bytes_go_out_and_come_back_untouched(port: int, http: HTTPClient) -> None:
    assert http.raw(port, b"GET /r HTTP/1.0\r\n\r\n").startswith(b"HTTP/1.0 207 ")
