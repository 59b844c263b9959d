"""Certificates as flags name them."""

import pytest

from scalability.config import CertificatePath


@pytest.mark.parametrize("text", ["a.pem", "folder/a.crt,folder/a.key", "folder"])
def test_what_is_read_is_written_the_same(text: str) -> None:
    assert str(CertificatePath.parse(text)) == text


@pytest.mark.parametrize("text", ["", ",", "a.pem,", ",a.key", "a,b,c"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither FILE"):
        CertificatePath.parse(text)
