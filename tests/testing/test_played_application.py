"""What a test writes is what the client reads."""

from scalability.testing.played_application import Client, PlayedApplication


def test_an_answer_is_played_and_read() -> None:
    played = PlayedApplication(lambda exchange: exchange.answer(201, b"{}"))
    answered = Client(lambda network: played).ask("GET", "/a")
    assert (answered.status, answered.get("content-type"), answered.body, answered.rest) == (201, "application/json", b"{}", b"")
    assert answered.get("x-none") is None
    assert played.last.head.target == b"/a"
