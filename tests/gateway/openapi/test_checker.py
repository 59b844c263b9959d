"""The program that checks bodies: here within the test, and as a process in tests/integration."""

import io
import json

from scalability.gateway.openapi.bodies import judged
from scalability.gateway.openapi.checker import frame, main, read_frame
from scalability.gateway.openapi.document import Document
from scalability.gateway.openapi.schemas import Schemas
from scalability.testing.api_document import SHOP

AT = "/paths/~1orders/post/requestBody/content/application~1json/schema"
GOOD = b'{"items": [{"sku": "a"}]}'
BODIES = [GOOD, b"[", b"{}", b'{"items": [{"sku": 1}]}', b'{"items": [{"sku": "\\ud800"}]}', b"", b"[[[[[[[[[[[[[[[[[[[[", b'{"a":1,"a":2}']


def test_a_message_is_read_as_it_was_written_and_half_of_one_is_none() -> None:
    data = frame({"document": 3}, b"\x00body\n")
    assert read_frame(io.BytesIO(data)) == ({"document": 3}, b"\x00body\n")
    assert read_frame(io.BytesIO(data[:5])) is None
    assert read_frame(io.BytesIO(b"")) is None


def test_it_says_what_the_gateway_itself_would_say() -> None:
    document = Document(SHOP)
    check = Schemas(document).check(AT)
    asked = frame({"document": 7}, json.dumps(document.root).encode())
    asked += b"".join(frame({"document": 7, "at": AT, "max_nesting": 16}, body) for body in BODIES)
    out = io.BytesIO()
    main(io.BytesIO(asked), out)
    said = [json.loads(line) for line in out.getvalue().splitlines()]
    expected = [judged(body, check, 16) for body in BODIES]
    assert said == [[one.not_json, [list(problem) for problem in one.problems]] for one in expected]
    assert any(one.problems for one in expected)
