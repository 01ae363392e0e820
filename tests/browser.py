"""A headless Chromium for tests, driven through chromedriver's HTTP interface (W3C WebDriver)."""

from __future__ import annotations

import base64
import contextlib
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest


class Browser:
    """One window. Every method waits until the browser has done it."""

    def __init__(self, address: str, session: str) -> None:
        self._base = f"{address}/session/{session}"

    def open(self, page: Path) -> None:
        _call(f"{self._base}/url", {"url": page.resolve().as_uri()})

    def run(self, script: str) -> Any:
        """What a JavaScript function body returns."""
        return _call(f"{self._base}/execute/sync", {"script": script, "args": []})

    def show_as(self, *, width: int, height: int, dark: bool) -> None:
        """Size of the page in CSS pixels, and whether the reader prefers dark."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._devtools("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._devtools("Emulation.setEmulatedMedia", {"features": [scheme]})

    def _devtools(self, command: str, parameters: dict[str, Any]) -> Any:
        return _call(f"{self._base}/goog/cdp/execute", {"cmd": command, "params": parameters})

    def messages(self) -> list[str]:
        """Warnings and errors of the console since the last call."""
        return [entry["message"] for entry in _call(f"{self._base}/se/log", {"type": "browser"})]

    def picture(self, clip: dict[str, float] | None = None) -> bytes:
        """A PNG of the whole page, or of the part {x, y, width, height}."""
        parameters: dict[str, Any] = {"captureBeyondViewport": True}
        if clip:
            parameters["clip"] = {**clip, "scale": 1}
        return base64.b64decode(self._devtools("Page.captureScreenshot", parameters)["data"])


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """A fresh browser; skips where Debian's chromium and chromium-driver are not installed."""
    driver, browser = shutil.which("chromedriver"), shutil.which("chromium")
    if driver is None or browser is None:
        pytest.skip("chromium and chromium-driver are not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen([driver, f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait(address)
        # the tests run as root in a container, where the browser's own sandbox cannot start
        flags = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--hide-scrollbars"]
        wanted = {
            "browserName": "chrome",
            "goog:chromeOptions": {"binary": browser, "args": flags},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        session = _call(f"{address}/session", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        try:
            yield Browser(address, session)
        finally:
            _call(f"{address}/session/{session}", None, method="DELETE")
    finally:
        process.terminate()
        process.wait(20)


def _wait(address: str) -> None:
    for _ in range(100):
        with contextlib.suppress(OSError):
            if _call(f"{address}/status", None, method="GET")["ready"]:
                return
        time.sleep(0.1)
    raise TimeoutError("chromedriver does not answer")


def _call(address: str, content: dict[str, Any] | None, *, method: str = "POST") -> Any:
    body = None if content is None else json.dumps(content).encode()
    request = urllib.request.Request(address, data=body, method=method, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read())["value"]
