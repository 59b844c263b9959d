"""Forms: what browsers and treq send is read as twisted.web reads it, and nothing costs more than its length."""

import contextlib
import time
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalability.api.forms import MAX_FORM_FIELDS, MAX_PART_HEAD_BYTES, arguments, form_fields
from scalability.errors import ClientError

KIND = b"multipart/form-data; boundary=b"
X = b'Content-Disposition: form-data; name="x"'


def body(*parts: bytes, end: bytes = b"--b--\r\n") -> bytes:
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + end


def read(*parts: bytes, kind: bytes = KIND) -> dict[bytes, list[bytes]]:
    return form_fields(kind, body(*parts))


def test_fields_keep_their_bytes_and_their_order() -> None:
    assert read(X + b"\r\n\r\n1", X.replace(b"x", b"y") + b"\r\n\r\n\r\n--of\xff it\r\n", X + b"\r\n\r\n") == {
        b"x": [b"1", b""],
        b"y": [b"\r\n--of\xff it\r\n"],
    }


def test_what_a_browser_sends_for_a_file_is_its_content() -> None:
    head = b'Content-Disposition: form-data; name="up"; filename="a; name=\\"evil\\".txt"\r\nContent-Type: text/plain'
    assert read(head + b"\r\n\r\ncontent") == {b"up": [b"content"]}


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        (b"form-data; name=x", b"x"),
        (b"form-data;name=x;", b"x"),
        (b'form-data; NAME = "x y"', b"x y"),
        (b'form-data; name="a\\"b\\\\c\\d"', b'a"b\\c\\d'),
        (b'form-data; name="M\xc3\xbcller"', "Müller".encode()),
        (b'form-data; filename="; name=evil"; name="x"', b"x"),
        (b'form-data; name="x"; name="y"', b"x"),
        (b"attachment; name=x", b"x"),
    ],
)
def test_names_are_read_as_they_were_meant(disposition: bytes, name: bytes) -> None:
    assert read(b"content-disposition: " + disposition + b"\r\n\r\n1") == {name: [b"1"]}


@pytest.mark.parametrize("head", [b"", b"X: y", b"Content-Disposition: form-data", b'Content-Disposition: form-data; name=""'])
def test_a_part_without_a_name_is_passed_over(head: bytes) -> None:
    assert read(*([b"\r\n" + b"1"] if not head else [head + b"\r\n\r\n1"]), X + b"\r\n\r\n2") == {b"x": [b"2"]}


@pytest.mark.parametrize("boundary", [b'"b"', b"b; charset=utf-8", b"b ", b' b; x="; boundary=evil"', b'"a b:c?d"'])
def test_the_boundary_may_be_quoted_and_have_company(boundary: bytes) -> None:
    name = b"a b:c?d" if b"c?d" in boundary else b"b"
    sent = body(X + b"\r\n\r\n1").replace(b"--b", b"--" + name)
    assert form_fields(b"Multipart/Form-Data ; x=y; BOUNDARY=" + boundary, sent) == {b"x": [b"1"]}


def test_what_stands_around_the_parts_is_nobody_s() -> None:
    sent = b"preamble\r\n--bb\r\n" + body(X + b"\r\n\r\n1\r\n--bc\r\n-b", end=b"--b-- \t\r\nepilogue\r\n--b\r\n")
    assert form_fields(KIND, sent) == {b"x": [b"1\r\n--bc\r\n-b"]}


@pytest.mark.parametrize(("coding", "sent"), [(b"base64", b"aMOp\r\n"), (b"Quoted-Printable", b"h=C3=\r\n=A9"), (b"8bit", b"h\xc3\xa9")])
def test_a_coding_that_should_not_be_there_is_taken_off(coding: bytes, sent: bytes) -> None:
    assert read(X + b"\r\nContent-Transfer-Encoding: " + coding + b"\r\n\r\n" + sent) == {b"x": ["hé".encode()]}


def test_the_standard_library_s_forms_are_read() -> None:
    made = MIMEMultipart("form-data", boundary="b")
    for name, value in (("x", "1"), ("ü", "zwei\nZeilen")):
        part = MIMEText(value, "plain", "utf-8")
        part.add_header("Content-Disposition", "form-data", name=name)
        made.attach(part)
    sent = made.as_bytes().partition(b"\n\n")[2].replace(b"\n", b"\r\n")
    assert list(form_fields(KIND, sent)) == [b"x"], "a name in RFC 2231's form must not be sent (RFC 7578 section 4.2)"
    assert form_fields(KIND, sent)[b"x"] == [b"1"]


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        (b"multipart/form-data", body(X + b"\r\n\r\n1")),
        (b"multipart/form-data; boundary=", body(X + b"\r\n\r\n1")),
        (b'multipart/form-data; boundary="', body(X + b"\r\n\r\n1")),
        (b"multipart/form-data; boundary=" + b"b" * 71, body(X + b"\r\n\r\n1").replace(b"--b", b"--" + b"b" * 71)),
        (KIND, b""),
        (KIND, b"no form"),
        (KIND, body(X + b"\r\n\r\n1", end=b"")),
        (KIND, body(X + b"\r\n\r\n1", end=b"--b\r\n")),
        (KIND, body(X)),
        (KIND, body(X + b"\n\n1")),
        (KIND, body(b'Content-Disposition: form-data; name="x\r\n\r\n1')),
        (KIND, body(b'Content-Disposition: form-data; name="x" y\r\n\r\n1')),
        (KIND, body(X + b"\r\nX: " + b"x" * MAX_PART_HEAD_BYTES + b"\r\n\r\n1")),
        (KIND, body(X + b"\r\nContent-Transfer-Encoding: base64\r\n\r\naaaaa")),
        (KIND, body(*[X + b"\r\n\r\n"] * (MAX_FORM_FIELDS + 1))),
        (b"application/x-www-form-urlencoded", b"a&" * MAX_FORM_FIELDS),
    ],
)
def test_what_is_no_form_is_refused(kind: bytes, sent: bytes) -> None:
    with pytest.raises(ClientError):
        form_fields(kind, sent)


def test_as_many_fields_as_there_may_be_are_read() -> None:
    assert len(read(*[X + b"\r\n\r\n"] * MAX_FORM_FIELDS)[b"x"]) == MAX_FORM_FIELDS


@pytest.mark.parametrize("kind", [b"application/json", b"text/plain", b"", b"multipart/mixed; boundary=b"])
def test_another_body_has_no_fields(kind: bytes) -> None:
    assert form_fields(kind, body(X + b"\r\n\r\n1")) == {}


def test_an_urlencoded_form_is_a_query() -> None:
    sent = b"a=1&a=%ff+&b&=c&&d=e=f"
    assert form_fields(b"application/x-www-form-urlencoded; charset=utf-8", sent) == arguments(sent)
    assert arguments(sent) == {b"a": [b"1", b"\xff "], b"b": [b""], b"": [b"c"], b"d": [b"e=f"]}


@given(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=40)), max_size=5))
def test_any_name_and_value_arrive(fields: list[tuple[bytes, bytes]]) -> None:
    sent = [(name.replace(b"\r", b"").replace(b"\n", b"") or b"n", value.replace(b"--b", b"")) for name, value in fields]
    parts = [
        b'Content-Disposition: form-data; name="' + name.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"\r\n\r\n' + value
        for name, value in sent
    ]
    wanted: dict[bytes, list[bytes]] = {}
    for name, value in sent:
        wanted.setdefault(name, []).append(value)
    assert read(*parts) == wanted


@pytest.mark.parametrize(
    "piece",
    [
        b";",
        b'";',
        b'\\";',
        b"--b\r\n",
        b"--b\r\n\r\n\r\n",
        b"\r\n--b ",
        b" ",
        b"--b\r\n" + X + b";",
        b'--b\r\nContent-Disposition: form-data; name="' + b";" * 8000 + b"\r\n\r\n\r\n",
    ],
)
def test_the_worst_form_takes_time_in_proportion_to_its_length(piece: bytes) -> None:
    def cost_s(length: int) -> float:
        sent = b'--b\r\nContent-Disposition: form-data; name="' + piece * (length // len(piece) + 1) + b"\r\n--b--"
        began = time.perf_counter()
        for kind in (KIND, KIND + b"; x=" + piece * (length // 25 // len(piece))):
            with contextlib.suppress(ClientError):
                form_fields(kind, sent)
        return time.perf_counter() - began

    # its square would be 256 times as much
    assert min(cost_s(800_000) for _ in range(3)) < 64 * min(cost_s(50_000) for _ in range(3)) + 0.01
