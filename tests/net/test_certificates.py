"""Certificates: what is read, which one a client gets, and what happens when files change."""

import contextlib
import os
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from scalability.config import CertificatePath
from scalability.config.certificate import PEM
from scalability.errors import ConfigError
from scalability.net.certificates import Certificates, CertificateStore, CertificateWatch, files_of, read_certificates
from scalability.testing.certificates import Authority

AUTHORITY = Authority()
LOCKED = ec.generate_private_key(ec.SECP256R1()).private_bytes(
    serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
)


def at(path: Path, key: Path | None = None) -> CertificatePath:
    return CertificatePath(path, key)


def shake_hands(store: Certificates, name: bytes | None, *, alpn: tuple[bytes, ...] = (), version: int | None = None) -> Any:
    """A client's side of a handshake in memory that asks for ``name``."""
    context = SSL.Context(SSL.TLS_METHOD)
    if version is not None:
        context.set_min_proto_version(version)
        context.set_max_proto_version(version)
    client, server = SSL.Connection(context, None), store.serverConnectionForTLS(None)
    client.set_connect_state()
    server.set_accept_state()
    if name is not None:
        client.set_tlsext_host_name(name)
    if alpn:
        client.set_alpn_protos(list(alpn))
    for _ in range(10):
        for one, other in ((client, server), (server, client)):
            with contextlib.suppress(SSL.WantReadError):
                one.do_handshake()
            with contextlib.suppress(SSL.WantReadError):
                other.bio_write(one.bio_read(65536))
    return client


def served(store: Certificates, name: bytes | None) -> str:
    certificate = shake_hands(store, name).get_peer_certificate(as_cryptography=True)
    (attribute,) = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(attribute.value)


def store_of(folder: Path, *names: str) -> CertificateStore:
    return CertificateStore([at(AUTHORITY.write(folder / f"{number}.pem", *name.split())) for number, name in enumerate(names)])


def test_the_name_decides_exact_before_wildcard_first_before_later(tmp_path: Path) -> None:
    store = store_of(tmp_path, "default.example", "*.a.example", "b.a.example other.example", "*.a.example second.example")
    assert served(store, b"b.a.example") == "b.a.example"
    assert served(store, b"OTHER.example") == "b.a.example"
    assert served(store, b"c.a.example") == "*.a.example"
    assert served(store, b"second.example") == "*.a.example"
    assert store.context_for(b"second.example") is not store.context_for(b"c.a.example")


@pytest.mark.parametrize("name", [None, b"unknown.example", b"a.example", b"x.y.a.example", b"*.a.example", b"\xff"])
def test_the_first_certificate_is_for_whoever_asks_for_none_of_them(tmp_path: Path, name: bytes | None) -> None:
    store = store_of(tmp_path, "default.example", "*.a.example")
    context = store.context_for(name)
    assert (context is store.context_for(None)) == (name != b"*.a.example")


def test_tls_1_2_and_1_3_are_spoken_and_nothing_older(tmp_path: Path) -> None:
    store = store_of(tmp_path, "a.example")
    for version in (SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION):
        assert shake_hands(store, None, version=version).get_peer_certificate(as_cryptography=True) is not None
    with pytest.raises(SSL.Error):
        shake_hands(store, None, version=SSL.TLS1_1_VERSION)


def test_alpn_chooses_http_1_1_and_refuses_those_who_want_nothing_but_others(tmp_path: Path) -> None:
    store = store_of(tmp_path, "a.example", "b.example")
    for name in (b"a.example", b"b.example"):
        assert shake_hands(store, name, alpn=(b"h2", b"http/1.1")).get_alpn_proto_negotiated() == b"http/1.1"
        with pytest.raises(SSL.Error, match="does not speak"):
            shake_hands(store, name, alpn=(b"h2",))


def test_a_chain_and_a_key_in_a_file_of_its_own_are_read(tmp_path: Path) -> None:
    certificate, key = AUTHORITY.issue("a.example")
    (tmp_path / "a.crt").write_bytes(certificate + AUTHORITY.pem)
    (tmp_path / "other.key").write_bytes(key)
    store = CertificateStore([at(tmp_path / "a.crt", tmp_path / "other.key")])
    assert len(shake_hands(store, None).get_peer_cert_chain(as_cryptography=True)) == 2
    (only,) = store.certificates
    assert only.names == ("a.example",)
    assert only.expires > 1_700_000_000


def test_a_folder_holds_certificates_with_keys_inside_or_beside_them(tmp_path: Path) -> None:
    AUTHORITY.write(tmp_path / "b.pem", "b.example")
    certificate, key = AUTHORITY.issue("a.example")
    (tmp_path / "a.crt").write_bytes(certificate)
    (tmp_path / "a.key").write_bytes(key)
    (tmp_path / "README").write_text("not a certificate")
    assert [file.name for file, _ in files_of(at(tmp_path))] == ["a.crt", "b.pem"]
    assert [certificate.names for certificate in read_certificates(at(tmp_path))] == [("a.example",), ("b.example",)]


def test_what_cannot_be_served_is_refused_with_the_file_and_the_reason(tmp_path: Path) -> None:
    certificate, key = AUTHORITY.issue("a.example")
    _, another = AUTHORITY.issue("a.example")
    for name, content in {"c": certificate, "k": key, "o": another, "n": b"nothing", "locked": LOCKED}.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "empty").mkdir()
    for source, why in [
        (at(tmp_path / "missing"), "cannot read .*missing: No such file"),
        (at(tmp_path / "c", tmp_path / "missing"), "cannot read .*missing: No such file"),
        (at(tmp_path / "n"), "holds no certificate in PEM"),
        (at(tmp_path / "c"), "holds no private key in PEM"),
        (at(tmp_path / "c", tmp_path / "n"), "holds no private key"),
        (at(tmp_path / "c", tmp_path / "o"), "do not belong together"),
        (at(tmp_path / "c", tmp_path / "locked"), "protected by a password"),
        (at(tmp_path / "empty"), "neither"),
        (at(tmp_path / "empty", tmp_path / "k"), "is a folder"),
    ]:
        with pytest.raises(ConfigError, match=why) as error:
            CertificateStore([source])
        assert error.value.key == "--tls-cert"


def touch(file: Path) -> None:
    """Another time than before, whatever the clock's steps."""
    found = file.stat()
    os.utime(file, ns=(found.st_atime_ns, found.st_mtime_ns + 1_000_000))


def test_a_changed_file_is_read_and_one_that_did_not_change_is_not(tmp_path: Path) -> None:
    store = store_of(tmp_path, "a.example", "b.example")
    assert store.changed() == []
    touch(AUTHORITY.write(tmp_path / "1.pem", "c.example"))
    outcome = store.changed()
    assert [source.path.name for source, _, _ in outcome] == ["1.pem"]
    store.adopt(outcome)
    assert served(store, b"c.example") == "c.example"
    assert served(store, b"b.example") == "a.example"
    assert store.changed() == []
    assert store.reloads == {"changed": 1, "failed": 0}


def test_what_cannot_be_read_anew_leaves_the_old_one_and_the_next_change_is_another_chance(tmp_path: Path) -> None:
    store = store_of(tmp_path, "a.example")
    for broken in (lambda file: file.write_bytes(b"half"), lambda file: file.unlink()):
        broken(tmp_path / "0.pem")
        store.adopt(store.changed())
        assert served(store, None) == "a.example"
        assert store.changed() == []  # not tried, and not complained about, again
    AUTHORITY.write(tmp_path / "0.pem", "new.example")
    store.adopt(store.changed())
    assert served(store, None) == "new.example"
    assert store.reloads == {"changed": 1, "failed": 2}


def test_a_folder_changes_with_a_new_file_in_it(tmp_path: Path) -> None:
    AUTHORITY.write(tmp_path / "b.pem", "b.example")
    store = CertificateStore([at(tmp_path)])
    AUTHORITY.write(tmp_path / "a.pem", "a.example")
    store.adopt(store.changed())
    assert (served(store, None), served(store, b"b.example")) == ("a.example", "b.example")


def test_what_one_store_has_read_another_serves_without_the_files(tmp_path: Path) -> None:
    store = store_of(tmp_path, "default.example", "*.a.example")
    told: list[list[PEM]] = []
    store.when_changed(lambda: told.append([certificate.pem for certificate in store.certificates]))
    other = Certificates([certificate.pem for certificate in store.certificates])
    touch(AUTHORITY.write(tmp_path / "0.pem", "new.example"))
    (tmp_path / "1.pem").unlink()
    store.adopt(store.changed())
    store.adopt(store.changed())
    assert [served(other, name) for name in (None, b"b.a.example")] == ["default.example", "*.a.example"]
    (pems,) = told
    other.show(pems)
    assert [served(other, name) for name in (None, b"b.a.example")] == ["new.example", "*.a.example"]
    with pytest.raises(ConfigError, match="holds no private key"):
        other.show([pems[0]._replace(key_data=b"")])
    assert served(other, None) == "new.example"


@pytest_twisted.ensureDeferred
async def test_the_watch_reads_on_a_thread_and_serves_what_it_found(tmp_path: Path) -> None:
    from twisted.internet import reactor

    store = store_of(tmp_path, "a.example")
    watch = CertificateWatch(reactor, store, interval_s=3600)
    watch.startService()
    await watch.look()
    touch(AUTHORITY.write(tmp_path / "0.pem", "b.example"))
    await watch.look()
    assert served(store, None) == "b.example"
    await watch.stopService()
