"""The same as tasks of Celery; the broker is a directory."""

from __future__ import annotations

import os
from typing import Any, Dict

from celery import Celery  # type: ignore[import-untyped]

from compat_tests.servers import served

app = Celery("served")
app.config_from_object(
    {
        "broker_url": "filesystem://",
        "broker_transport_options": {
            "data_folder_in": os.environ["SERVED_QUEUE"],
            "data_folder_out": os.environ["SERVED_QUEUE"],
            "control_folder": os.environ["SERVED_QUEUE"] + "-control",
        },
        "result_backend": "file://" + os.environ["SERVED_QUEUE"] + "-results",
        "worker_hijack_root_logger": False,
    }
)


@app.task(name="work")  # type: ignore[untyped-decorator]
def work() -> Dict[str, Any]:
    """See `served.work`."""
    return served.work()
