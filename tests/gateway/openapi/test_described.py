"""Routes say what they are."""

from klein import Klein

from scalability.gateway.openapi.described import Answered, Description, described, description_of


def test_klein_keeps_what_a_route_says_of_itself() -> None:
    app = Klein()

    @app.route("/a")
    @described("One thing.", answers={200: Answered("It.")})
    def a(request: object) -> bytes:
        return b""

    @app.route("/b")
    def b(request: object) -> bytes:
        return b""

    assert description_of(app.endpoints["a"]) == Description("One thing.", answers={200: Answered("It.")})
    assert description_of(app.endpoints["b"]) is None
    assert description_of(None) is None
