"""Drives Debian's Chromium by the DevTools protocol."""

from __future__ import annotations

import base64
import itertools
import json
import shutil
import subprocess
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from tests.support.waiting import until

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


# Clicks on an element as soon as it is on top at its centre. Look and click are one step, so that what the page adds
# meanwhile does not move another element there.
_CLICK = """async (find) => {
  for (let element; ; await new Promise(requestAnimationFrame)) {
    if (!(element = find())) continue;
    element.scrollIntoView({ block: "center" });
    const { x, y, width, height } = element.getBoundingClientRect();
    if (element.contains(document.elementFromPoint(x + width / 2, y + height / 2))) return element.click();
  }
}"""


class Browser:
    """A headless browser with a profile of its own."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM, "expected chromium; scripts/ci-packages installs it"
        options = [
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
        ]
        self._process = subprocess.Popen(
            [CHROMIUM, *options, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        port = profile / "DevToolsActivePort"
        ends = self._process.poll
        until(lambda: (port.exists() and port.read_text().count("\n")) or ends() is not None)
        assert ends() is None
        self._address = f"127.0.0.1:{port.read_text().split()[0]}"
        self._pages = ExitStack()

    def open(self, url: str, *, width: int = 1280, height: int = 900, dark: bool = False) -> Page:
        """A new page of the given size."""
        target = json.loads(self._request("new?about:blank"))
        self._pages.callback(self._request, f"close/{target['id']}")
        socket = self._pages.enter_context(connect(target["webSocketDebuggerUrl"], max_size=None, proxy=None))
        page = Page(socket)
        page.prepare(width, height, dark)
        page.send("Page.navigate", url=url)
        page.until("document.readyState === 'complete' && location.href !== 'about:blank'")
        return page

    def _request(self, command: str) -> bytes:
        request = urllib.request.Request(f"http://{self._address}/json/{command}", method="PUT")
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as response:
            data: bytes = response.read()
            return data

    def close_pages(self) -> None:
        """Close all pages: one whose server has ended would try to connect again for ever."""
        self._pages.close()

    def close(self) -> None:
        """End the browser."""
        self.close_pages()
        self._process.terminate()
        self._process.wait(60)


class Page:
    """A page. `problems`: exceptions, errors of the console and violations of its policy."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.problems: list[str] = []
        self.requests: list[str] = []
        self._ids = itertools.count(1)

    def prepare(self, width: int, height: int, dark: bool) -> None:
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.send(f"{domain}.enable")
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])

    def send(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command, and return its result."""
        number = next(self._ids)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv(timeout=60))
            if message.get("id") == number:
                assert "error" not in message, message["error"]
                found: dict[str, Any] = message["result"]
                return found
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        parameters = message.get("params", {})
        match message.get("method"):
            case "Runtime.exceptionThrown":
                self.problems.append(json.dumps(parameters["exceptionDetails"])[:1000])
            case "Log.entryAdded" if parameters["entry"]["level"] == "error":
                self.problems.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")
            case "Network.requestWillBeSent":
                self.requests.append(parameters["request"]["url"])

    def run(self, expression: str) -> Any:
        """The value of a JavaScript expression; promises are awaited."""
        result = self.send("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def until(self, expression: str, seconds: float = 60) -> Any:
        """Wait until an expression is true."""
        try:
            return until(lambda: self.run(f"Boolean({expression})"), seconds)
        except AssertionError:
            page = self.run("document.body.innerText")[:3000]
            raise AssertionError(expression, self.problems, page) from None

    def until_text(self, selector: str, *expected: str) -> None:
        """Wait until the visible text of an element contains these texts."""
        for each in expected:
            element = f"document.querySelector({json.dumps(selector)})"
            self.until(f"{element}?.innerText.includes({json.dumps(each)})")

    def text(self, selector: str = "body") -> str:
        """The visible text of an element."""
        return str(self.run(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''"))

    def click(self, selector: str, containing: str = "") -> None:
        """Click the first visible element that matches and contains a text, once nothing covers it."""
        find = (
            f"[...document.querySelectorAll({json.dumps(selector)})].find((each) => each.offsetParent !== null && "
            f"each.textContent.includes({json.dumps(containing)}))"
        )
        self.until(f"Boolean({find})")
        self.run(f"({_CLICK})(() => {find})")

    def type(self, selector: str, text: str) -> None:
        """Type a text into a field."""
        self.until(f"Boolean(document.querySelector({json.dumps(selector)}))")
        self.run(f"document.querySelector({json.dumps(selector)}).focus()")
        self.send("Input.insertText", text=text)

    def key(self, key: str) -> None:
        """Press a key."""
        text = {"text": key} if len(key) == 1 else {}
        self.send("Input.dispatchKeyEvent", type="keyDown", key=key, **text)
        self.send("Input.dispatchKeyEvent", type="keyUp", key=key)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Write a picture of the page."""
        data = self.send("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def scrolls_sideways(self) -> bool:
        """Whether the page is wider than the window."""
        return bool(self.run("document.documentElement.scrollWidth > document.documentElement.clientWidth"))
