"""No pause before a try: what is waited for here is only ever a request."""

from __future__ import annotations

import pytest
from botocore.retries.quota import RetryQuota
from botocore.retries.standard import ExponentialBackoff

from fk_backend.providers.aws import store


@pytest.fixture()
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other without pauses, and are as many for the last request of a test as for its first."""
    monkeypatch.setattr(ExponentialBackoff, "delay_amount", lambda self, context: 0.0)
    monkeypatch.setattr(RetryQuota, "acquire", lambda self, amount: True)
    monkeypatch.setattr(store, "PAUSE_S", 0.0)
