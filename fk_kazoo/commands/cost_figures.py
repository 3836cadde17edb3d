"""Written by ``python -m benchmarks cloud --docs`` from requests that it counted: not to be edited."""

from __future__ import annotations

from typing import Any, Dict

FIGURES: Dict[str, Any] = {
    "read": {
        "rru": 1.0,
    },
    "write": {
        "event_source": 2.0,
        "gb_s": 0.0136315,
        "inbox_deletes": 1.0,
        "inbox_pushes": 1.0,
        "inbox_receives": 1.0,
        "invocations": 1.0,
        "queue_sends": 1.0,
        "rru": 1.0,
        "wru": 2.0,
    },
    "read_large": {
        "rru": 1.0,
        "s3_get": 1.0,
    },
    "write_large": {
        "event_source": 2.0,
        "gb_s": 0.0389605,
        "inbox_deletes": 1.0,
        "inbox_pushes": 1.0,
        "inbox_receives": 1.0,
        "invocations": 1.0,
        "queue_sends": 1.0,
        "rru": 1.0,
        "s3_put": 2.0,
        "wru": 4.0,
    },
    "tick": {
        "event_source": 1.0,
        "gb_s": 0.0159205,
        "invocations": 1.0,
        "queue_sends": 1.0,
        "rru": 2.0,
        "wru": 1.0,
    },
    "beat": {
        "wru": 1.0,
    },
    "tick_s": 7,
    "beats_per_s": 0.3,
    "overhead_bytes": 142,
    "inline_bytes": 16384,
}

PRICES: Dict[str, Dict[str, float]] = {
    "paper": {
        "queue_sends": 5e-07,
        "inbox_pushes": 4e-07,
        "wru": 1.25e-06,
        "rru": 2.5e-07,
        "gb_s": 1.66667e-05,
        "invocations": 2e-07,
        "event_source": 5e-07,
        "inbox_receives": 4e-07,
        "inbox_deletes": 4e-07,
        "log_gb": 0.5,
        "s3_put": 5e-06,
        "s3_get": 4e-07,
        "t3_small_hour": 0.0208,
        "t3_large_hour": 0.0832,
    },
    "current": {
        "queue_sends": 5e-07,
        "inbox_pushes": 4e-07,
        "wru": 6.25e-07,
        "rru": 1.25e-07,
        "gb_s": 1.33334e-05,
        "invocations": 2e-07,
        "event_source": 5e-07,
        "inbox_receives": 4e-07,
        "inbox_deletes": 4e-07,
        "log_gb": 0.5,
        "s3_put": 5e-06,
        "s3_get": 4e-07,
        "t3_small_hour": 0.0208,
        "t3_large_hour": 0.0832,
    },
}
