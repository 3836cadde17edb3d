"""The snippets of docs/locks.md are run, in their order but for the first, which needs a later one."""

from __future__ import annotations

import re
from typing import Any, Dict

import pytest

from tests.checkout import ROOT

PAGE = ROOT / "docs" / "locks.md"


def test_the_snippets_run(zk: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    text = PAGE.read_text("utf-8")
    snippets = [(match.start(1), match[1]) for match in re.finditer(r"```python\n(.*?)```", text, re.DOTALL)]
    assert len(snippets) > 10
    names: Dict[str, Any] = {"zk": zk}
    for start, snippet in [*snippets[1:], snippets[0]]:
        line = text[:start].count("\n")
        exec(compile("\n" * line + snippet, str(PAGE), "exec"), names)
    assert names["database"].execute("SELECT result FROM results").fetchone() == ("a report",)
    printed = capsys.readouterr().out
    assert "is not re-entrant" in printed and "connected: session 0x" in printed and "somebody else" not in printed
    _object_storage(names["put"], monkeypatch)


def _object_storage(put: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3
    from moto import mock_aws

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="results")
        assert put(s3, "results", "k", b"first", 5) and put(s3, "results", "k", b"second", 7)
        assert not put(s3, "results", "k", b"late", 6)

        class Raced:
            """Somebody else, with a later lock, writes between the look and the write."""

            def __getattr__(self, name: str) -> Any:
                return getattr(s3, name)

            def head_object(self, **where: Any) -> Any:
                found = s3.head_object(**where)
                if not raced:
                    raced.append(put(s3, "results", "k", b"theirs", 9))
                return found

        raced: list[Any] = []
        assert not put(Raced(), "results", "k", b"mine", 8)
        assert raced == [True] and s3.get_object(Bucket="results", Key="k")["Body"].read() == b"theirs"
