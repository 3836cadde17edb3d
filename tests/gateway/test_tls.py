"""With TLS a client needs a certificate of the authority that the gateway was told of."""

from __future__ import annotations

import datetime
import socket
import ssl
from pathlib import Path
from typing import Any, Dict, Optional, Tuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from fk_kazoo import jute
from fk_kazoo.gateway import door
from tests.gateway.served import Place, Raw, read

DAY = datetime.timedelta(days=1)


def _signed(place: Path, name: str, by: Optional[Tuple[Any, Any]]) -> Tuple[Any, Any]:
    """(certificate, key), which are in a file of that name, too."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
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
    authority = _signed(tmp_path, "authority", None)
    for name in ("server", "client"):
        _signed(tmp_path, name, authority)
    _signed(tmp_path, "stranger", None)
    return {name: str(tmp_path / name) for name in ("authority", "server", "client", "stranger")}


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
    monkeypatch.setattr(door, "HANDSHAKE_S", 1.0)
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
            assert len(gate._connections) == 1


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
