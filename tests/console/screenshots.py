"""Takes the pictures of docs/console.md: ``python -m tests.console.screenshots``."""

from __future__ import annotations

import json
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from fk_kazoo.cli.target import Target
from fk_kazoo.console.server import Console

from . import browser
from .test_page import Page

PICTURES = Path(__file__).resolve().parents[2] / "docs" / "pictures"


def main() -> None:
    """One light, one dark, one narrow."""
    os.environ["FK_KAZOO_HOME"] = tempfile.mkdtemp()
    target = Target("local://shop")
    with target.client(make=True) as client, target.client() as other, target.client() as own:
        _fill(client, other)
        console = Console(target, own, 0, True)
        thread = threading.Thread(target=console.serve)
        thread.start()
        try:
            with browser.chromium() as driver:
                _pictures(driver, console)
        finally:
            console.end()
            thread.join()


def _fill(client: Any, other: Any) -> None:
    for path in ("/shop/config", "/shop/queue", "/shop/workers", "/locks"):
        client.ensure_path(path)
    client.create("/shop/config/checkout", json.dumps({"currency": "EUR", "retries": 3, "debug": False}).encode())
    for number in range(3):
        client.create("/shop/workers/worker-%d" % number, b"10.0.0.%d" % number, ephemeral=True)
    for number in range(12):
        client.Queue("/shop/queue").put(b"order %d" % number)
    client.Lock("/locks/billing", "billing-1").acquire()
    threading.Thread(target=other.Lock("/locks/billing", "billing-2").acquire, daemon=True).start()
    time.sleep(1)


def _pictures(driver: Any, console: Console) -> None:
    PICTURES.mkdir(exist_ok=True)
    page = Page(driver)
    for name, scheme, size, key in (
        ("node-light", "light", browser.WIDE, "1"),
        ("locks-dark", "dark", browser.WIDE, "3"),
        ("node-narrow", "dark", browser.NARROW, "1"),
    ):
        browser.dress(driver, scheme, size)
        driver.get("about:blank")
        driver.get(console.link)
        page.until(lambda: page.text("#state") == "connected")
        page.go("/shop/config/checkout" if key == "1" else "/")
        driver.find_element("css selector", '[data-as="json"]').click() if key == "1" else None
        driver.execute_script("document.activeElement.blur()")
        page.keys(key)
        time.sleep(1)
        driver.save_screenshot(str(PICTURES / ("console-%s.png" % name)))


if __name__ == "__main__":
    main()
