# SPDX-License-Identifier: GPL-3.0-or-later
"""Headless Chromium with nothing of its own: an empty profile, no background traffic, its log and requests recorded."""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
    # what a container's small /dev/shm cannot hold
    "--disable-dev-shm-usage",
)


class ChromiumMissing(RuntimeError):
    """Says what to install."""


def _find(*names: str) -> str:
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    raise ChromiumMissing(f"{names[0]} is missing: run tests/browser/setup.sh, or install it and put it into PATH.")


class Page:
    """One page in one browser."""

    def __init__(self, driver: Chrome) -> None:
        self._driver = driver

    def open(self, path: Path, width: int = 1200, dark: bool = False) -> None:
        """Show a file as a window of that width would."""
        self._driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": [scheme]})
        self._driver.get(path.resolve().as_uri())

    def ask(self, script: str) -> Any:
        """What a script returns."""
        return self._driver.execute_script(script)

    def wait_for(self, script: str, answer: Any, timeout: float = 5) -> None:
        """Ask until the answer is that; what is not on the screen is laid out a little later."""
        WebDriverWait(self._driver, timeout, 0.1).until(lambda driver: driver.execute_script(script) == answer, script)

    def console(self) -> list[dict[str, Any]]:
        """Messages since the last call: errors, warnings, violations of the content security policy."""
        messages: list[dict[str, Any]] = self._driver.get_log("browser")
        return messages

    def requests(self) -> list[str]:
        """What pages have asked for since the last call, by URL; the browser's own pages do not count."""
        entries = self._driver.get_log("performance")
        messages = [json.loads(entry["message"])["message"] for entry in entries]
        sent = [item["params"] for item in messages if item["method"] == "Network.requestWillBeSent"]
        return [item["request"]["url"] for item in sent if not item["documentURL"].startswith("chrome://")]

    def paper(self) -> None:
        """Lay the page out as for printing."""
        self._driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print", "features": []})

    def pdf(self) -> bytes:
        """The page as it is printed, by those who leave background graphics off."""
        options = {"printBackground": False, "paperWidth": 8.27, "paperHeight": 11.69}
        return base64.b64decode(self._driver.execute_cdp_cmd("Page.printToPDF", options)["data"])

    def screenshot(self) -> bytes:
        """The whole page as PNG, not only what a window shows of it."""
        size = self._driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        options = {"format": "png", "captureBeyondViewport": True, "clip": clip}
        return base64.b64decode(self._driver.execute_cdp_cmd("Page.captureScreenshot", options)["data"])


@contextmanager
def chromium() -> Iterator[Page]:
    """A browser that is gone afterwards, with its profile."""
    options = ChromeOptions()
    options.binary_location = _find("chromium", "chromium-browser", "google-chrome")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    service = Service(_find("chromedriver"))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = Chrome(options=options, service=service)
        try:
            yield Page(driver)
        finally:
            driver.quit()
