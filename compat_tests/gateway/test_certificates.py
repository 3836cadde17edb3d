"""Names of certificates, as Java writes and reads them: its `X500Principal` is what ZooKeeper's x509 ACLs go by."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any, List

import pytest

from fk_backend.core.names import is_distinguished_name
from fk_kazoo.gateway.certificates import name_of
from tests.differential.zookeeper_server import PATTERNS, ZookeeperServer, _free_port, unavailable
from tests.gateway.test_tls import signed

from .fetched import CLIENTS, DIRECTORY, java_path, need, said

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NUMBERS = {
    "CN": "550403", "C": "550406", "L": "550407", "ST": "550408", "STREET": "550409", "O": "55040a", "OU": "55040b",
    "UID": "0992268993f22c640101", "DC": "0992268993f22c640119", "SERIALNUMBER": "550405",
    "EMAIL": "2a864886f70d010901", "DNQ": "55042e", "far": "8837883788378837",
}  # fmt: skip
TEXTS = (0x0C, 0x13, 0x16, 0x14)
CHARACTERS = "abcZ019 .-,=+<>#;\"\\/'()é世\r\n\t\0@*_:?&~"


def _der(kind: int, contents: bytes) -> bytes:
    size = len(contents)
    if size < 0x80:
        return bytes([kind, size]) + contents
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([kind, 0x80 | len(length)]) + length + contents


def _name(r: random.Random) -> bytes:
    parts = []
    for _ in range(r.randint(0, 4)):
        attributes = []
        for _ in range(r.choice((1, 1, 1, 2))):
            number = bytes.fromhex(r.choice(list(NUMBERS.values())))
            text = "".join(r.choice(CHARACTERS) for _ in range(r.choice((0, 1, 3, 8, 150)))).encode()
            kind = r.choice(TEXTS) if r.random() < 0.9 else 0x04
            attributes.append(_der(0x30, _der(0x06, number) + _der(kind, text)))
        parts.append(_der(0x31, b"".join(attributes)))
    return _der(0x30, b"".join(parts))


def _text(r: random.Random) -> str:
    pieces = [
        *NUMBERS,
        "cn",
        "S",
        "T",
        "X",
        "1.2.3",
        "OID.2.5.4.3",
        "3.1",
        "=",
        "=",
        "=",
        ",",
        ";",
        "+",
        "a b",
        "#0400",
        "\\,",
    ]
    return "".join(r.choice([*pieces, '"', "\\41", "\\x", "#", " ", "<", "é"]) for _ in range(r.randint(0, 7)))


@pytest.fixture(scope="module")
def asked() -> List[str]:
    need("java", "javac")
    said(["javac", "-d", str(DIRECTORY), str(CLIENTS / "Names.java")])
    return ["java", "-Xmx100m", "-XX:+UseSerialGC", "-cp", str(DIRECTORY), "Names"]


def test_names_are_written_as_java_writes_them(asked: List[str]) -> None:
    r = random.Random(1)
    names = [_name(r) for _ in range(2000)]
    answers = said(asked, input="".join("N %s\n" % b64encode(each).decode() for each in names)).splitlines()
    for name, line in zip(names, answers):
        assert line == "invalid" or name_of(name) == b64decode(line).decode(), name.hex()
    assert len(answers) == len(names) and answers.count("invalid") < len(names) // 10


def test_names_are_read_as_java_reads_them(asked: List[str]) -> None:
    r = random.Random(2)
    texts = ["CN=a,O=b", "", *(_text(r) for _ in range(8000))]
    answers = said(asked, input="".join("V %s\n" % b64encode(each.encode()).decode() for each in texts)).splitlines()
    differ = [text for text, line in zip(texts, answers) if is_distinguished_name(text) != (line == "valid")]
    assert differ == [] and len(answers) == len(texts) and 100 < answers.count("valid") < len(texts)


TOUR = """whoami
create /tls data
setAcl /tls x509:CN=client:cdrwa,x509:CN=other:r
getAcl /tls
create /tls/auth below auth::cdrwa
getAcl /tls/auth
create /tls/wrong x x509:other:r
addauth x509 x
whoami
ls /tls
get /tls/auth
quit
"""
OTHERS = """whoami
get /tls
set /tls changed
get /tls/auth
getAcl /tls
addauth x509 CN=client
get /tls/auth
quit
"""


PATIENCE_S = 60.0
OF_THE_MOMENT = ("Connecting", "Welcome", "WATCHER", "WatchedEvent", "JLine", "ip: ")
"""Lines that say nothing of what was answered; who has an address and a certificate is told both in any order."""


class Secure(ZookeeperServer):
    """With a port for TLS."""

    def __init__(self, directory: Path, server: str, authority: str) -> None:
        super().__init__(directory)
        self.secure = _free_port()
        self._files = (("keyStore", server), ("trustStore", authority))

    def _config(self) -> str:
        lines = [
            "secureClientPort=%d" % self.secure,
            "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory",
        ]
        lines += ["ssl.%s.%s=%s" % (store, name, value) for store, file in self._files for name, value in _pem(file)]
        lines += ["authProvider.x509=org.apache.zookeeper.server.auth.X509AuthenticationProvider"]
        return super()._config() + "\n".join(lines) + "\n"


def _pem(file: str) -> List[Any]:
    return [("location", file), ("type", "PEM")]


def _zkcli(port: int, certificate: str, authority: str, typed: str) -> List[str]:
    """What ZooKeeper's own command line client says, without what is of the moment."""
    switches = {
        "zookeeper.clientCnxnSocket": "org.apache.zookeeper.ClientCnxnSocketNetty",
        "zookeeper.client.secure": "true",
        "zookeeper.ssl.hostnameVerification": "false",
        "org.slf4j.simpleLogger.defaultLogLevel": "off",
    }
    for store, file in (("keyStore", certificate), ("trustStore", authority)):
        switches.update({"zookeeper.ssl.%s.%s" % (store, name): value for name, value in _pem(file)})
    path = ":".join(java_path(*(name[: -len(".jar")] for name in PATTERNS)))
    given = ["-D%s=%s" % each for each in switches.items()]
    command = ["java", "-Xmx100m", "-XX:+UseSerialGC", *given, "-cp", path, "org.apache.zookeeper.ZooKeeperMain"]
    done = subprocess.run(
        [*command, "-server", "127.0.0.1:%d" % port],
        input=typed, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=PATIENCE_S,
    )  # fmt: skip
    return [line for line in done.stdout.splitlines() if line and not line.startswith(OF_THE_MOMENT)]


@pytest.mark.skipif(unavailable() is not None, reason=str(unavailable()))
def test_who_has_a_certificate_is_told_what_zookeeper_tells(tmp_path: Path) -> None:
    authority = signed(tmp_path, "authority.pem", None)
    files = {name: str(tmp_path / (name + ".pem")) for name in ("authority", "server", "client", "other")}
    for name in ("server", "client", "other"):
        signed(tmp_path, name + ".pem", authority, name)
    serve = ["serve", "local://tls", "--listen", "127.0.0.1:0", "--tls-cert", files["server"]]
    command = [sys.executable, "-m", "fk_kazoo", *serve, "--tls-client-ca", files["authority"]]
    environ = {**os.environ, "FK_KAZOO_HOME": str(tmp_path / "home")}
    printed = []
    with Secure(tmp_path, files["server"], files["authority"]) as zookeeper:
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) as gateway:
            try:
                assert gateway.stdout is not None
                port = int(gateway.stdout.readline().rpartition(":")[2])
                for at in (zookeeper.secure, port):
                    first = _zkcli(at, files["client"], files["authority"], TOUR)
                    printed.append([first, _zkcli(at, files["other"], files["authority"], OTHERS)])
            finally:
                gateway.terminate()
    assert printed[0] == printed[1]
    assert "x509: CN=client" in printed[0][0] and "x509: CN=other" in printed[0][1]
