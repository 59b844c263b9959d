"""Certificates that tests make are such as others read."""

import ssl
from pathlib import Path

from scalability.testing.certificates import Authority


def test_a_certificate_and_its_key_fit_and_the_authority_can_be_trusted(tmp_path: Path) -> None:
    authority = Authority()
    ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(authority.write(tmp_path / "a.pem", "localhost", "127.0.0.1"))
    trusting = ssl.create_default_context(cafile=authority.write_own(tmp_path / "ca.pem"))
    assert trusting.cert_store_stats()["x509_ca"] == 1
