"""With TLS a client needs a certificate of the authority that the gateway was told of, and is whom that names."""

from __future__ import annotations

import datetime
import socket
import ssl
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fk_backend.core.model import Error
from fk_kazoo import jute
from fk_kazoo.gateway import acceptor, certificates
from tests.gateway.served import Place, Raw, number, read

DAY = datetime.timedelta(days=1)


def signed(place: Path, name: str, by: Optional[Tuple[Any, Any]], whom: str = "") -> Tuple[Any, Any]:
    """(certificate, key), which are in a file of that name, too. ``whom``: of whom it is, if not of ``name``."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, whom or name)])
    issuer, issuers_key = (subject, key) if by is None else (by[0].subject, by[1])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder(
        issuer, subject, key.public_key(), x509.random_serial_number(), now - DAY, now + DAY
    )
    builder = builder.add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
    certificate = builder.sign(issuers_key, hashes.SHA256())
    pem = serialization.Encoding.PEM
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (place / name).write_bytes(key.private_bytes(pem, *plain) + certificate.public_bytes(pem))
    return certificate, key


@pytest.fixture
def files(tmp_path: Path) -> Dict[str, str]:
    authority = signed(tmp_path, "authority", None)
    for name in ("server", "client", "other"):
        signed(tmp_path, name, authority)
    signed(tmp_path, "stranger", None)
    return {name: str(tmp_path / name) for name in ("authority", "server", "client", "other", "stranger")}


class Tls(Raw):
    """A client over TLS."""

    def __init__(self, port: int, authority: str, certificate: Optional[str]) -> None:
        super().__init__(port)
        context = ssl.create_default_context(cafile=authority)
        context.check_hostname = False
        if certificate is not None:
            context.load_cert_chain(certificate)
        self.socket = context.wrap_socket(self.socket)


def _servers(files: Dict[str, str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["server"])
    context.load_verify_locations(files["authority"])
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def test_who_does_not_finish_the_handshake_has_a_place_until_it_is_hung_up_on(
    files: Dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acceptor, "HANDSHAKE_S", 1.0)
    with Place() as place:
        gate = place.gate(tls=_servers(files), max_connections=2)
        with Raw(gate.port) as first, Raw(gate.port) as second:
            with pytest.raises((OSError, EOFError)):
                Tls(gate.port, files["authority"], files["client"])
            assert first.ended() and second.ended()
        for sent in (b"\x16\x03\x01\x00\x05hello", b"", b"\0\0\0\x2c" + bytes(44), b"ruok"):
            with Raw(gate.port) as client:
                client.socket.sendall(sent)
                client.socket.shutdown(socket.SHUT_WR)
                while not client.ended():
                    pass
        with Tls(gate.port, files["authority"], files["client"]) as client:
            assert client.connect()[1] != 0
            assert len(gate.connections) == 1


def _whole(contents: List[Tuple[Any, str]]) -> Any:
    return x509.Name([x509.NameAttribute(*each) for each in contents])


@pytest.mark.parametrize(
    ("subject", "told"),
    [
        (
            [(NameOID.COUNTRY_NAME, "DE"), (NameOID.ORGANIZATION_NAME, "A, B"), (NameOID.COMMON_NAME, "x")],
            r"CN=x,O=A\, B,C=DE",
        ),
        ([(NameOID.COMMON_NAME, " #é; ")], r"CN=\ \#é\;\ "),
        ([(NameOID.EMAIL_ADDRESS, "a@b")], "1.2.840.113549.1.9.1=#1603614062"),
        ([], ""),
    ],
)
def test_a_subject_is_told_as_java_tells_it(subject: List[Tuple[Any, str]], told: str) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = x509.CertificateBuilder(_whole(subject), _whole(subject), key.public_key(), 1, now - DAY, now + DAY)
    made = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
    assert certificates.subject(made) == told
    for cut in range(0, len(made), 7):
        try:
            certificates.subject(made[:cut])
        except ValueError:
            pass


def test_who_has_a_certificate_is_whom_it_names(files: Dict[str, str]) -> None:
    """ZooKeeper's ``x509`` scheme. Each of two clients may read what is its own, and name the other."""
    mine, theirs = ["x509", "CN=client"], ["x509", "CN=other"]
    with Place() as place:
        port = place.gate(tls=_servers(files)).port
        plain = place.gate().port
        with (
            Tls(port, files["authority"], files["client"]) as client,
            Tls(port, files["authority"], files["other"]) as other,
        ):
            client.connect()
            other.connect()
            told = client.call(jute.WHO_AM_I).body
            assert jute.string("x509") + jute.string("CN=client") in told and jute.string("127.0.0.1") in told
            assert client.call(jute.CREATE, _create("/mine", [mine])).code == 0
            assert client.call(jute.CREATE, _create("/theirs", [theirs])).code == 0
            assert client.call(jute.CREATE, _create("/auth", [["auth", ""]])).code == 0
            assert client.call(jute.CREATE, _create("/wrong", [["x509", "client"]])).code == Error.INVALID_ACL
            for path, code in (("/mine", Error.NO_AUTH), ("/theirs", Error.OK), ("/auth", Error.NO_AUTH)):
                assert other.call(jute.GET_DATA, read(path)).code == code
                assert client.call(jute.GET_DATA, read(path)).code == (Error.OK if code else Error.NO_AUTH)
                assert client.call(jute.SET_DATA, _set(path)).code == (Error.OK if code else Error.NO_AUTH)
            x509_auth = number(0) + jute.string("x509") + jute.buffer(b"")
            assert client.call(jute.AUTH, x509_auth).code == 0
            with Raw(plain) as nobody:
                nobody.connect()
                assert nobody.call(jute.GET_DATA, read("/mine")).code == Error.NO_AUTH
                assert nobody.call(jute.CREATE, _create("/x", [mine])).code == Error.INVALID_ACL
                assert nobody.call(jute.AUTH, x509_auth).code == Error.AUTH_FAILED


def _create(path: str, acl: List[List[str]]) -> bytes:
    entries = b"".join(number(31) + jute.string(scheme) + jute.string(name) for scheme, name in acl)
    return jute.string(path) + jute.buffer(b"") + number(len(acl)) + entries + number(0)


def _set(path: str) -> bytes:
    return jute.string(path) + jute.buffer(b"x") + number(-1)


def test_who_has_a_certificate_is_let_in(files: Dict[str, str]) -> None:
    with Place() as place:
        port = place.gate(tls=_servers(files)).port
        with Tls(port, files["authority"], files["client"]) as client:
            assert client.connect()[1] != 0
            assert client.call(jute.EXISTS, read("/")).code == 0
        for certificate in (None, files["stranger"]):
            with pytest.raises((OSError, EOFError)), Tls(port, files["authority"], certificate) as client:
                client.connect()
        with Raw(port) as plain, pytest.raises(EOFError):
            plain.connect()
