"""A real Chromium, which Debian has (`apt-get install chromium chromium-driver`)."""

from __future__ import annotations

import contextlib
import shutil
from typing import Any, Iterator

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

WIDE, NARROW = (1200, 760), (390, 760)


def unavailable() -> str:
    """Why there is none; "" if there is one."""
    missing = [name for name in ("chromium", "chromedriver") if shutil.which(name) is None]
    return "there is no %s here: apt-get install chromium chromium-driver" % missing[0] if missing else ""


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A browser without a window."""
    options = Options()
    options.binary_location = shutil.which("chromium") or ""
    for one in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-extensions"):
        options.add_argument(one)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
    try:
        yield driver
    finally:
        driver.quit()


def dress(driver: Any, scheme: str, size: "tuple[int, int]") -> None:
    """``light`` or ``dark``, and so large."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
