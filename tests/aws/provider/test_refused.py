"""What no waiting cures is raised by `start` at once, with its reason and what to do; what waiting may cure, in time.

`start` is given ten minutes, and each test one.
"""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Dict, Iterator

import pytest
from kazoo.handlers.threading import KazooTimeoutError

from fk_backend.providers.aws.dev.resources import Account
from fk_kazoo.client import KazooClient
from fk_kazoo.exceptions import DeploymentConfigurationError

pytestmark = pytest.mark.timeout(60)

NOBODY = "http://127.0.0.1:9"
KEYS = {"AWS_ACCESS_KEY_ID": "123456789012", "AWS_SECRET_ACCESS_KEY": "x"}
REGION = {"AWS_REGION": "us-east-1"}


@pytest.fixture(autouse=True)
def nowhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No settings but those of a test; and nothing is sent to AWS itself."""
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE", "AWS_SESSION_TOKEN", *KEYS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ENDPOINT_URL", NOBODY)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


def _reason(url: str) -> str:
    """Why a client can't be started."""
    with pytest.raises(DeploymentConfigurationError) as caught:
        client = KazooClient(url)
        client.start(600)
    return str(caught.value)


@pytest.mark.parametrize(
    ("url", "environ", "says"),
    [
        ("aws://dev", KEYS, "which region? Add ?region=NAME to the URL, or set AWS_REGION"),
        ("aws://dev", {**KEYS, "AWS_REGION": "Bad_Region"}, "which region?"),
        ("aws://dev", REGION, "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"),
        ("aws://dev", {**REGION, "AWS_ACCESS_KEY_ID": "1"}, "missing: AWS_SECRET_ACCESS_KEY: set"),
        ("aws://dev", {**REGION, "AWS_PROFILE": "nobody"}, "check AWS_PROFILE"),
        ("aws://dev", {**REGION, **KEYS, "AWS_ENDPOINT_URL": "127.0.0.1:9"}, "check the region, and endpoint_url"),
        ("aws://dev?endpoint_url=http://nobody.invalid", {**REGION, **KEYS}, "check the region, and endpoint_url"),
        ("aws://My/app", {**REGION, **KEYS}, "1 to 20 lower-case letters"),
        ("aws://a-inbox-x", {**REGION, **KEYS}, "has no -inbox in it"),
    ],
)
def test_what_no_waiting_cures(monkeypatch: pytest.MonkeyPatch, url: str, environ: Dict[str, str], says: str) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert says in _reason(url)


class _Answers(BaseHTTPRequestHandler):
    status, body = 404, b"<html>"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.status)
        self.send_header("Content-Length", str(len(self.body)))
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def answering(request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of somebody who always answers the same; or where nobody is."""
    if request.param is None:
        yield NOBODY
        return
    handler = type("Handler", (_Answers,), dict(zip(("status", "body"), request.param)))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=[0.01]).start()
        try:
            yield "http://127.0.0.1:%d" % server.server_port
        finally:
            server.shutdown()


@pytest.mark.parametrize(
    ("answering", "says"),
    [
        ((404, b"<html>"), "check the region, and endpoint_url"),
        ((200, b"<html>"), "was never set up to the end"),
        ((400, b'{"__type": "UnrecognizedClientException", "message": "no"}'), "Check AWS_PROFILE"),
        ((400, b'{"__type": "ExpiredTokenException", "message": "no"}'), "or log in again"),
        ((400, b'{"__type": "AccessDeniedException", "message": "no"}'), "need the managed policy"),
        ((400, b'{"__type": "ResourceNotFoundException", "message": "no"}'), "fk-kazoo deploy dev makes one"),
    ],
    indirect=["answering"],
)
def test_what_others_answer(monkeypatch: pytest.MonkeyPatch, answering: str, says: str) -> None:
    for name, value in {**REGION, **KEYS}.items():
        monkeypatch.setenv(name, value)
    assert says in _reason("aws://dev?endpoint_url=" + answering)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answering", "says"),
    [
        ((503, b"{}"), "503"),
        ((400, b'{"__type": "ThrottlingException"}'), "ThrottlingException"),
        (None, "Could not connect to the endpoint URL"),
    ],
    indirect=["answering"],
)
def test_what_waiting_may_cure_is_waited_for(monkeypatch: pytest.MonkeyPatch, answering: str, says: str) -> None:
    """And the time-out has the reason."""
    for name, value in {**REGION, **KEYS}.items():
        monkeypatch.setenv(name, value)
    client = KazooClient("aws://dev?endpoint_url=" + answering)
    with pytest.raises(KazooTimeoutError, match="Connection time-out: .*" + says):
        client.start(8)


def test_no_such_deployment(empty_account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in empty_account.environment.items():
        monkeypatch.setenv(key, value)
    assert "fk-kazoo deploy other makes one" in _reason("aws://other/app")


def test_a_client_that_was_refused_can_be_started_when_the_reason_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    client = KazooClient("aws://dev")
    for _ in range(2):
        with pytest.raises(DeploymentConfigurationError, match="which region"):
            client.start(600)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    with pytest.raises(DeploymentConfigurationError, match="set AWS_PROFILE"):
        client.start(600)
    client.set_hosts("memory://refused")
    client.start()
    client.create("/a")
    client.stop()
    client.close()
