"""What one client of a fetch is sent."""

from scalability.testing.cache_case import CacheCase


class ClientTests(CacheCase):
    def test_an_old_client_gets_a_body_that_ends_with_its_connection(self) -> None:
        client = self.client()
        client.deliver(b"GET /a HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\n\r\n")
        self.origin.begin("Cache-Control: no-store", "Transfer-Encoding: chunked", data=b"3\r\nabc\r\n")
        self.origin.asked[0].finish(b"0\r\n\r\n")
        said = self.got(client)
        assert "Connection: close\r\n" in said
        assert "Transfer-Encoding" not in said
        assert said.endswith("\r\n\r\nabc")
        assert client.ended == "closed"

    def test_an_old_client_is_sent_no_interim_answers(self) -> None:
        client = self.client()
        client.deliver(b"GET /a HTTP/1.0\r\nHost: x\r\n\r\n")
        self.origin.asked[0].send_interim(b"HTTP/1.1 103 Early Hints\r\n\r\n")
        assert self.got(client) == ""

    def test_trailers_pass(self) -> None:
        client = self.ask("TE: trailers")
        self.origin.begin("Cache-Control: no-store", "Transfer-Encoding: chunked", data=b"3\r\nabc\r\n")
        self.origin.asked[0].finish(b"0\r\nX-Sum: 1\r\n\r\n")
        assert self.got(client).endswith("0\r\nX-Sum: 1\r\n\r\n")

    def test_head_is_passed_on_with_its_length_and_without_a_body(self) -> None:
        client = self.ask(method="HEAD")
        self.origin.begin("Cache-Control: max-age=5", "Content-Length: 77", self.date())
        self.origin.asked[0].finish()
        said = self.got(client)
        assert "Content-Length: 77\r\n" in said
        assert said.endswith("\r\n\r\n")

    def test_a_pipelined_request_is_served_after_it(self) -> None:
        client = self.client()
        client.deliver(b"GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /b HTTP/1.1\r\nHost: x\r\n\r\n")
        assert len(self.origin.asked) == 1
        self.origin.answer("Cache-Control: no-store", body=b"first")
        assert len(self.origin.asked) == 2
        self.origin.answer("Cache-Control: no-store", body=b"second")
        said = self.got(client)
        assert said.index("first") < said.index("second")
