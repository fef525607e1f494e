"""A real Chromium, driven by its DevTools protocol over a pair of pipes: no library, no port, nothing from elsewhere.

Messages are JSON objects, each ended by a zero byte (--remote-debugging-pipe). What Chromium sends unasked is kept until somebody waits for it.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import gevent
from gevent.os import make_nonblocking, nb_read, nb_write

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
HOW_TO_INSTALL = "Chromium is missing: apt-get install --no-install-recommends chromium"
ANSWER_SECONDS = 30.0
POLL_SECONDS = 0.05                                     # between two looks at a condition; each look is an answer of the page
MAX_EVENTS = 10_000
SWITCHES = (
    "--headless=new", "--remote-debugging-pipe", "--no-first-run", "--no-default-browser-check", "--disable-gpu", "--disable-extensions",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio", "--hide-scrollbars",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",   # loopback only, whatever a page names
)
LAUNCHER = (                                            # Chromium reads from 3 and writes to 4
    "import fcntl, os, sys; pipes = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 10) for number in sys.argv[1:3]];"
    "os.dup2(pipes[0], 3); os.dup2(pipes[1], 4); os.execv(sys.argv[3], sys.argv[3:])"
)
KEYS = {                                                # name → (code, virtual key code, text)
    "Enter": ("Enter", 13, "\r"), "Escape": ("Escape", 27, ""), "Tab": ("Tab", 9, ""), " ": ("Space", 32, " "), "Delete": ("Delete", 46, ""),
    "ArrowDown": ("ArrowDown", 40, ""), "ArrowUp": ("ArrowUp", 38, ""), "ArrowLeft": ("ArrowLeft", 37, ""), "ArrowRight": ("ArrowRight", 39, ""),
    "Home": ("Home", 36, ""), "End": ("End", 35, ""),
}


class PageProblem(AssertionError):
    """What the page or Chromium said."""


class Chromium:
    """One browser with one page. A context manager."""

    def __init__(self, width: int = 1440, height: int = 900) -> None:
        self._profile = tempfile.mkdtemp(prefix="evenswarm-chromium-")
        to_browser, self._out = os.pipe()
        self._in, from_browser = os.pipe()
        switches = [*SWITCHES, *(["--no-sandbox"] if os.geteuid() == 0 else []), f"--user-data-dir={self._profile}", f"--window-size={width},{height}"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", LAUNCHER, str(to_browser), str(from_browser), PROGRAM, *switches, "about:blank"],
            pass_fds=(to_browser, from_browser), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )
        os.close(to_browser)
        os.close(from_browser)
        for pipe in (self._in, self._out):
            make_nonblocking(pipe)
        self._number = 0
        self._buffer = b""
        self._session = ""
        self.events: list[dict[str, Any]] = []
        target = next(info for info in self._ask("Target.getTargets")["targetInfos"] if info["type"] == "page")
        self._session = self._ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self._ask(f"{domain}.enable")

    def __enter__(self) -> "Chromium":
        return self

    def __exit__(self, *error: object) -> None:
        try:
            with gevent.Timeout(5, False):
                self._session = ""
                self._ask("Browser.close")
                self.process.wait()
        except (OSError, PageProblem):
            pass
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self._in)
        os.close(self._out)
        shutil.rmtree(self._profile, ignore_errors=True)

    # ── the protocol ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        number = self._number
        message = {"id": number, "method": method, "params": parameters} | ({"sessionId": self._session} if self._session else {})
        with gevent.Timeout(ANSWER_SECONDS, PageProblem(f"{method} was not answered in {ANSWER_SECONDS:.0f} s")):
            data = json.dumps(message).encode() + b"\0"
            while data:
                data = data[nb_write(self._out, data):]
            while True:
                answer = self._next_message()
                if answer.get("id") == number:
                    if "error" in answer:
                        raise PageProblem(f"{method}: {answer['error']['message']}")
                    return answer["result"]
                if "method" in answer and len(self.events) < MAX_EVENTS:
                    self.events.append(answer)

    def _next_message(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            data = nb_read(self._in, 1 << 16)
            if not data:
                raise PageProblem("Chromium ended")
            self._buffer += data
        message, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(message)

    # ── the page ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def open(self, address: str) -> None:
        """Go there; the document is loaded when this returns."""
        self._ask("Page.navigate", url=address)
        self.wait_for("document.readyState === 'complete' && location.protocol !== 'about:'")

    def value(self, expression: str) -> Any:
        """The value of a JavaScript expression in the page; promises are awaited."""
        answer = self._ask("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True, userGesture=True)
        if "exceptionDetails" in answer:
            details = answer["exceptionDetails"]
            raise PageProblem(details.get("exception", {}).get("description") or details["text"])
        return answer["result"].get("value")

    def wait_for(self, expression: str, seconds: float = 30.0) -> Any:
        """Return the value of the expression once it is true."""
        with gevent.Timeout(seconds, PageProblem(f"in {seconds:.0f} s it never was so: {expression}")):
            while True:
                try:
                    if value := self.value(expression):
                        return value
                except PageProblem as problem:          # the page changes right now
                    if "context" not in str(problem) and "navigat" not in str(problem):
                        raise
                gevent.sleep(POLL_SECONDS)

    def text(self, selector: str) -> str:
        """What people read there."""
        return self.value(f"document.querySelector({json.dumps(selector)}).innerText")

    def press(self, key: str, *, shift: bool = False, control: bool = False) -> None:
        """Press a key of KEYS, or one that is a character."""
        code, number, text = KEYS.get(key) or (f"Key{key.upper()}" if key.isalpha() else "", ord(key.upper()) if key.isalnum() else 0, key)
        event = {"key": key, "code": code, "windowsVirtualKeyCode": number, "modifiers": 8 * shift + 2 * control}
        if text and not control:
            event["text"] = text
        self._ask("Input.dispatchKeyEvent", type="keyDown" if "text" in event else "rawKeyDown", **event)
        self._ask("Input.dispatchKeyEvent", type="keyUp", **{name: value for name, value in event.items() if name != "text"})

    def type(self, text: str) -> None:
        """Type it where the focus is."""
        self._ask("Input.insertText", text=text)

    def click(self, selector: str, button: str = "left") -> None:
        """Press and release the pointer in the middle of an element."""
        x, y = self.value(f"(() => {{ const box = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
                          "return [box.left + box.width / 2, box.top + box.height / 2]; })()")
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self._ask("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="none" if kind == "mouseMoved" else button, clickCount=int(kind != "mouseMoved"))

    def move_pointer(self, x: float, y: float) -> None:
        """Without pressing."""
        self._ask("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def choose_files(self, selector: str, *paths: Path) -> None:
        """As if these had been chosen in the file dialog."""
        root = self._ask("DOM.getDocument")["root"]["nodeId"]
        node = self._ask("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self._ask("DOM.setFileInputFiles", nodeId=node, files=[str(path) for path in paths])

    def drop_files(self, *paths: Path) -> None:
        """Drag files over the page and let go."""
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self._ask("Input.dispatchDragEvent", type=kind, x=400, y=400, data=data)

    def resize(self, width: int, height: int, scheme: str = "light", is_touch: bool = False) -> None:
        """Another window, in light or dark."""
        self._ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=is_touch)
        self._ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def screenshot(self) -> bytes:
        """A PNG of what is in sight."""
        return base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"])

    def complaints(self) -> list[str]:
        """Errors of scripts, of the policy (CSP) and of the network, since the start."""
        self.value("1")                                 # what was sent until now is read
        found = []
        for event in self.events:
            parameters = event["params"]
            if event["method"] == "Runtime.exceptionThrown":
                details = parameters["exceptionDetails"]
                found.append(details.get("exception", {}).get("description") or details["text"])
            elif event["method"] == "Log.entryAdded" and parameters["entry"]["level"] == "error":
                found.append(f"{parameters['entry']['text']} {parameters['entry'].get('url', '')}")
            elif event["method"] == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "assert"):
                found.append(str([argument.get("value") for argument in parameters["args"]]))
        return found
