"""What docs/cli.md shows of the commands that are about AWS is what they print on an emulated one."""

from __future__ import annotations

from pathlib import Path

import pytest

from fk_backend.providers.aws.dev.resources import Account
from tests.cli import reference
from tests.cli.sessions import EMULATED, played, template


@pytest.mark.parametrize("command", EMULATED)
def test_a_session(command: str, empty_account: Account, tmp_path: Path) -> None:
    (tmp_path / "before").mkdir()
    home, _ = template(tmp_path / "before")
    (tmp_path / "played").mkdir()
    assert played(command, tmp_path / "played", home) == reference.sessions_shown()[command]
