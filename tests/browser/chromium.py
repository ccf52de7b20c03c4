"""Headless Chromium as the tests of the report's page drive it: real input, recorded traffic."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


class Browser:
    """One page at a time, its console and its requests."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        """Start with an empty page of 1280 x 900 in the light scheme."""
        self.driver = driver
        self.cdp("Emulation.setFocusEmulationEnabled", enabled=True)  # a window that is in use
        self.look()

    def cdp(self, command: str, **parameters: Any) -> Any:
        """A command of the DevTools protocol."""
        return self.driver.execute_cdp_cmd(command, parameters)

    def look(
        self, width: int = 1280, height: int = 900, *, scheme: str = "light", touch: bool = False
    ) -> None:
        """Set the window, the colour scheme, and whether there is a finger or a mouse."""
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height,
                 deviceScaleFactor=1, mobile=touch)  # fmt: skip
        self.cdp("Emulation.setTouchEmulationEnabled", enabled=touch)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.cdp("Emulation.setEmulatedMedia", features=features)

    def open(self, page: Path) -> None:
        """Load a file, as a double click on it does."""
        self.driver.get_log("performance")
        self.driver.get(page.as_uri())

    def js(self, script: str, *arguments: Any) -> Any:
        """What a function body returns in the page."""
        return self.driver.execute_script(script, *arguments)

    def text(self, selector: str) -> str:
        """The text of the first element that a selector finds."""
        return str(self.js("return document.querySelector(arguments[0]).textContent", selector))

    def centre(self, selector: str) -> tuple[float, float]:
        """Scroll an element to the middle of the window; where its own middle then is."""
        x, y = self.js(
            "const node = document.querySelector(arguments[0]);"
            "node.scrollIntoView({block: 'center', behavior: 'instant'});"
            "const r = node.getBoundingClientRect();"
            "return [r.left + r.width / 2, r.top + r.height / 2];",
            selector,
        )
        return x, y

    def hover(self, x: float, y: float) -> None:
        """Move the mouse to a place in the window."""
        self.cdp("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def tap(self, x: float, y: float) -> None:
        """Touch a place in the window with a finger."""
        self.cdp("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        self.cdp("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def key(self, name: str, *, text: str = "") -> None:
        """Press a key by its DOM name: ``ArrowDown``, ``Tab``."""
        code = {"Tab": 9, "Enter": 13, "Escape": 27, "End": 35, "Home": 36, "ArrowLeft": 37,
                "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}[name]  # fmt: skip
        press = {"key": name, "code": name, "windowsVirtualKeyCode": code, "text": text}
        self.cdp("Input.dispatchKeyEvent", type="keyDown", **press)
        self.cdp("Input.dispatchKeyEvent", type="keyUp", **press)

    def requested(self) -> list[str]:
        """The addresses asked for since ``open``."""
        messages = (
            json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")
        )
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]

    def complaints(self) -> list[str]:
        """What the console said since it was last asked: errors, and refusals by the policy."""
        return [entry["message"] for entry in self.driver.get_log("browser")]


@contextmanager
def browser(chromium: str, chromedriver: str, profile: Path) -> Iterator[Browser]:
    """A browser with an empty profile; it ends with the block."""
    options = Options()
    options.binary_location = chromium
    for argument in (*ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(chromedriver))
    try:
        yield Browser(driver)
    finally:
        driver.quit()
