"""``fk-kazoo verify`` on the emulator, interrupted in the middle of what takes minutes."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fk_backend.providers.aws.dev.emulator import Emulator


@pytest.mark.timeout(600)
def test_ctrl_c_in_the_middle(emulator: Emulator, tmp_path: Path) -> None:
    """``emulator`` only for its skip: this one starts its own."""
    report = tmp_path / "report"
    command = [
        sys.executable,
        "-m",
        "fk_kazoo",
        "verify",
        "--emulator",
        "--only",
        "dead holder",
        "--report",
        str(report),
    ]
    piped = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, start_new_session=True, **piped) as verify:  # type: ignore[call-overload]
        try:
            assert any("begins: dead holder" in line for line in verify.stderr)
            verify.send_signal(signal.SIGINT)
            told = verify.stderr.read()
            assert verify.wait() == 3, told
        finally:
            verify.kill()
    assert "SIGINT: what was made is destroyed first" in told and "Traceback" not in told
    found = json.loads(report.with_name("report.json").read_text("utf-8"))
    assert found["ended_early"] == "it was interrupted by SIGINT"
    assert (found["left"], found["unknown"]) == ([], {})
    assert {one["name"]: one["status"] for one in found["results"]}["dead holder"] == "not run"
    assert "emulated" in found["emulator"] or "ministack" in found["emulator"]
