"""What is secret is in no message and no log of ours: passwords in URLs, credentials, sessions' passwords."""

from __future__ import annotations

import logging
from typing import Any, Callable

import pytest

from fk_backend.core import apply
from fk_backend.core.requests import Auth
from fk_backend.errors import BadUrl
from fk_kazoo import url
from fk_kazoo.exceptions import AuthFailedError

SECRET = "s3cr3t"
Connect = Callable[..., Any]


@pytest.mark.parametrize(
    "text",
    [
        "local://me:s3cr3t@a",
        "local://me:s3cr3t@a/b?namespace=x",
        "local://me:s3cr3t/x@a",
        "nonsense://me:s3cr3t@a",
        "aws://a?endpoint_url=http://me:s3cr3t@b",
        "aws://a?endpoint_url=http://me:s3cr3t@b&region=?",
        "local://me:s3cr3t@a b",
        "local://me:s3cr3t@a#b",
        "local://me:s3cr3t@" + "a" * 300,
    ],
)
def test_no_message_repeats_a_password(text: str) -> None:
    for environ in ({}, {"FK_KAZOO_URL": text}):
        with pytest.raises(BadUrl) as raised:
            url.resolve(None if environ else text, environ)
        assert SECRET not in str(raised.value) and SECRET not in repr(raised.value)
        cause = raised.value.__cause__ or (None if raised.value.__suppress_context__ else raised.value.__context__)
        assert SECRET not in repr(cause)


def _said(caplog: pytest.LogCaptureFixture) -> str:
    ours = [record for record in caplog.records if record.name.startswith("fk_")]
    return "\n".join(logging.Formatter().format(record) for record in ours)


def test_no_log_has_a_credential(memory_url: str, connect: Connect, caplog: pytest.LogCaptureFixture) -> None:
    """Neither where all goes well nor where it does not. kazoo's own log has them, at DEBUG: that is kazoo's."""
    caplog.set_level(logging.DEBUG)
    client = connect(memory_url)
    client.add_auth("digest", "me:" + SECRET)
    client.create("/a")
    _, password = client.client_id
    client.client_link.cut()
    client.client_link.mend()
    client.retry(client.get, "/a")
    with pytest.raises(AuthFailedError):
        client.add_auth("nonsense", SECRET)
    said = _said(caplog)
    assert SECRET not in said and repr(password) not in said and password.hex() not in said


def test_a_bug_met_with_a_secret_does_not_tell_it(
    memory_url: str, connect: Connect, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the writer sets aside is named by its sender and number; its traceback has no values."""
    client = connect(memory_url)
    caplog.set_level(logging.DEBUG)
    monkeypatch.setitem(apply._OF_A_SESSION, Auth, None)
    with pytest.raises(Exception) as raised:
        client.add_auth("digest", "me:" + SECRET)
    said = _said(caplog)
    assert "not callable" in said and SECRET not in said and SECRET not in str(raised.value)
