"""Firefox and WebKit, the engine of every iPhone, behind one small interface.

Firefox is spoken to in WebDriver BiDi (https://www.w3.org/TR/webdriver-bidi/), which it serves itself: its
driver for the older protocol is not in Debian. WebKit's driver speaks that older one, and selenium with it.
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver import WebKitGTK
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.webkitgtk.options import Options
from selenium.webdriver.webkitgtk.service import Service
from websockets.sync.client import ClientConnection, connect

from bench.site import stop
from tests.support.browser import PATIENCE, until

SECONDS = PATIENCE / 1000
FIND = """const find = (css, root = document) => {
  const node = root.querySelector(css);
  if (node) return node;
  for (const host of root.querySelectorAll("*")) {
    const inner = host.shadowRoot ?? (host.tagName === "IFRAME" ? host.contentDocument : null);
    const below = inner && find(css, inner);
    if (below) return below;
  }
  return null;
};
const reachable = (css) => {
  const node = find(css);
  if (!node || !node.getClientRects().length || node.disabled) return false;
  node.scrollIntoView({ block: "center", behavior: "instant" });
  return true;
};
"""
"""The first element of a selector, in shadow roots and frames too; whether a person can reach it."""
LISTEN = """(() => {
  window.complaints = [];
  const hear = (text) => window.complaints.push(String(text));
  const usual = console.error;
  console.error = (...parts) => { hear(parts.map(String).join(" ")); usual(...parts); };
  addEventListener("error", (event) => hear(event.message));
  addEventListener("unhandledrejection", (event) => hear(event.reason));
})()"""
KEYS = {"Backspace": "\ue003", "Tab": "\ue004", "Enter": "\ue007", "End": "\ue010", "Home": "\ue011"}
KEYS |= {"ArrowLeft": "\ue012", "ArrowUp": "\ue013", "ArrowRight": "\ue014", "ArrowDown": "\ue015"}
"""Keys without a character of their own, as both protocols write them."""
FIREFOX_SETTINGS = {
    "services.settings.server": "data:,none",  # where it would ask for experiments and block lists
    "ui.prefersReducedMotion": 1,
}
GTK_SETTINGS = "[Settings]\ngtk-enable-animations=0\n"
GTK_STYLE = "* { min-width: 0; padding: 0; }"
"""Else MiniBrowser's bar keeps its window wider than a phone."""


class Window(ABC):
    """One window of a browser, as the person before it uses it. Selectors (``css``) reach into shadow roots
    and frames. What waits fails after ``SECONDS``."""

    @abstractmethod
    def open(self, url: str) -> None:
        """Go to a page and wait until it has loaded."""

    @abstractmethod
    def resize(self, width: int, height: int) -> None:
        """Give the page this many pixels."""

    @abstractmethod
    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page's JavaScript, where ``find(css)`` is the first
        element of a selector; of a promise, what becomes of it.

        Raises RuntimeError with what the page throws.
        """

    @abstractmethod
    def click(self, css: str) -> None:
        """Click on an element, once it is there to be clicked on."""

    @abstractmethod
    def type(self, css: str, text: str) -> None:
        """Press keys in an element."""

    @abstractmethod
    def upload(self, css: str, path: Path) -> None:
        """Choose a file in an ``input`` of files."""

    @abstractmethod
    def screenshot(self, path: Path) -> None:
        """Write what is seen as a PNG."""

    @abstractmethod
    def complaints(self) -> list[str]:
        """Return the errors that pages have logged since this was last asked."""

    @abstractmethod
    def close(self) -> None:
        """End the browser."""

    def wait_for(self, expression: str) -> Any:
        """Wait until an expression is true; return its value."""
        value: Any = None

        def holds() -> bool:
            nonlocal value
            value = self.evaluate(expression)
            return bool(value)

        until(holds, expression)
        return value

    def fill(self, css: str, text: str) -> None:
        """Write into a field, in place of what stands there."""
        self.click(css)
        self.evaluate(f"find({json.dumps(css)}).select()")
        self.type(css, text)

    def press(self, css: str, *keys: str) -> None:
        """Press keys by their names in an element; see `KEYS`."""
        self.type(css, "".join(KEYS[key] for key in keys))

    def text(self, css: str) -> str:
        """Return what is read in an element, once it is there."""
        self.wait_for(f"find({json.dumps(css)})?.isConnected")
        return str(self.evaluate(f"find({json.dumps(css)}).innerText"))

    def attribute(self, css: str, name: str) -> str:
        """Return an element's attribute, "" where there is none of the one or the other."""
        return str(self.evaluate(f"find({json.dumps(css)})?.getAttribute({json.dumps(name)}) ?? ''"))

    def _reach(self, css: str) -> None:
        self.wait_for(f"reachable({json.dumps(css)})")


class Firefox(Window):
    """A Firefox without a screen."""

    def __init__(self, dark: bool = False) -> None:
        self._resources = contextlib.ExitStack()
        self._numbers = itertools.count()
        self._heard: list[str] = []
        try:
            self._socket = self._start(dark)
            self._tell("session.new", capabilities={})
            self._tell("session.subscribe", events=["log.entryAdded"])
            self._page = self._tell("browsingContext.getTree")["contexts"][0]["context"]
        except BaseException:
            self.close()
            raise

    def _start(self, dark: bool) -> ClientConnection:
        command = shutil.which("firefox-esr") or shutil.which("firefox")
        if not command:
            pytest.skip("needs firefox: not found; on Debian: apt-get install firefox-esr")
        home = Path(self._resources.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        settings = FIREFOX_SETTINGS | {"layout.css.prefers-color-scheme.content-override": 0 if dark else 1}
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in settings.items()]
        (home / "user.js").write_text("\n".join(lines))
        arguments = ["--headless", "--no-remote", "--profile", str(home), "--remote-debugging-port", "0"]
        process = self._resources.enter_context(running([command, *arguments], {"HOME": str(home)}))
        address = home / "WebDriverBiDiServer.json"  # written once it listens

        def listens() -> bool:
            assert process.poll() is None, "Firefox ended as soon as it had started"
            return address.exists() and address.read_text().rstrip().endswith("}")

        until(listens, "Firefox to listen")
        server = json.loads(address.read_text())
        url = f"ws://{server['ws_host']}:{server['ws_port']}/session"
        return self._resources.enter_context(connect(url, max_size=None, proxy=None))

    def _tell(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Carry out a command of the protocol; return what it answers.

        Raises RuntimeError with its sentence when it refuses.
        """
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=SECONDS))
            if message.get("method") == "log.entryAdded" and message["params"]["level"] == "error":
                self._heard.append(str(message["params"]["text"]))
            if message.get("id") == number:
                break
        if message["type"] == "error":
            raise RuntimeError(f"{method}: {message['message']}")
        return dict(message["result"])

    def _call(self, body: str) -> dict[str, Any]:
        answer = self._tell(
            "script.callFunction",
            functionDeclaration=f"async () => {{ {FIND} return {body}; }}",
            awaitPromise=True,
            target={"context": self._page},
        )
        if answer["type"] == "exception":
            raise RuntimeError(answer["exceptionDetails"]["text"])
        return dict(answer["result"])

    def _node(self, css: str) -> dict[str, Any]:
        return {"sharedId": self._call(f"find({json.dumps(css)})")["sharedId"]}

    def _act(self, *actions: dict[str, Any]) -> None:
        self._tell("input.performActions", context=self._page, actions=list(actions))

    def open(self, url: str) -> None:
        self._tell("browsingContext.navigate", context=self._page, url=url, wait="complete")

    def resize(self, width: int, height: int) -> None:
        size = {"width": width, "height": height}
        self._tell("browsingContext.setViewport", context=self._page, viewport=size)

    def evaluate(self, expression: str) -> Any:
        return json.loads(self._call(f"JSON.stringify((await ({expression})) ?? null)")["value"])

    def click(self, css: str) -> None:
        self._reach(css)
        move = {
            "type": "pointerMove",
            "x": 0,
            "y": 0,
            "origin": {"type": "element", "element": self._node(css)},
        }
        press = [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self._act({"type": "pointer", "id": "mouse", "actions": [move, *press]})

    def type(self, css: str, text: str) -> None:
        self._reach(css)
        self.evaluate(f"find({json.dumps(css)}).focus()")
        keys = [{"type": kind, "value": key} for key in text for kind in ("keyDown", "keyUp")]
        self._act({"type": "key", "id": "keyboard", "actions": keys})

    def upload(self, css: str, path: Path) -> None:
        self.wait_for(f"find({json.dumps(css)})?.isConnected")
        self._tell("input.setFiles", context=self._page, element=self._node(css), files=[str(path)])

    def screenshot(self, path: Path) -> None:
        picture = self._tell("browsingContext.captureScreenshot", context=self._page)
        path.write_bytes(base64.b64decode(picture["data"]))

    def complaints(self) -> list[str]:
        self.evaluate("null")  # what was logged before comes before the answer
        heard, self._heard = self._heard, []
        return [line for line in heard if not line.startswith(PUT_OFF)]

    def close(self) -> None:
        self._resources.close()


class WebKit(Window):
    """WebKitGTK's MiniBrowser on a screen that nobody sees.

    What a page logs before it has loaded is not heard.
    """

    def __init__(self, dark: bool = False) -> None:
        self._resources = contextlib.ExitStack()
        self._heard: list[str] = []
        try:
            self._driver = self._start(dark)
        except BaseException:
            self.close()
            raise

    def _start(self, dark: bool) -> WebKitGTK:
        driver, screen = shutil.which("WebKitWebDriver"), shutil.which("Xvfb")
        if not driver:
            pytest.skip("needs webkit: not found; on Debian: apt-get install webkit2gtk-driver")
        if not screen:
            pytest.skip("needs Xvfb: not found; on Debian: apt-get install xvfb")
        home = Path(self._resources.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        (home / "gtk-3.0").mkdir()
        (home / "gtk-3.0" / "settings.ini").write_text(GTK_SETTINGS)
        (home / "gtk-3.0" / "gtk.css").write_text(GTK_STYLE)
        display = self._resources.enter_context(screen_of(screen))
        own = {"HOME": str(home), "XDG_CONFIG_HOME": str(home), "DISPLAY": display, "LANGUAGE": "en_US"}
        service = Service(driver, log_output=str(home / "driver.log"), env={**os.environ, **own})
        options = Options()
        for argument in ("--automation", *["--dark-mode"] * dark):
            options.add_argument(argument)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # selenium's, of its own use of itself
            browser = WebKitGTK(options, service)
        self._resources.callback(browser.quit)
        browser.set_script_timeout(SECONDS)
        return browser

    def _element(self, css: str) -> WebElement:
        element: WebElement = self._driver.execute_script(f"{FIND} return find(arguments[0]);", css)
        return element

    def open(self, url: str) -> None:
        self._heard = self.complaints()
        self._driver.get(url)
        self.evaluate(LISTEN)

    def resize(self, width: int, height: int) -> None:
        self._driver.set_window_size(width, height)
        self.wait_for(f"innerWidth === {width}")  # a window may take its size a moment later
        bar = height - self.evaluate("innerHeight")
        self._driver.set_window_size(width, height + bar)
        self.wait_for(f"innerWidth === {width} && innerHeight === {height}")

    def evaluate(self, expression: str) -> Any:
        value, error = self._driver.execute_async_script(
            f"""{FIND} const done = arguments[0];
            (async () => JSON.stringify((await ({expression})) ?? null))()
              .then((value) => done([value, null]), (error) => done([null, String(error)]));"""
        )
        if error is not None:
            raise RuntimeError(error)
        return json.loads(value)

    def click(self, css: str) -> None:
        self._reach(css)
        self._element(css).click()

    def type(self, css: str, text: str) -> None:
        self._reach(css)
        self._element(css).send_keys(text)

    def upload(self, css: str, path: Path) -> None:
        self.wait_for(f"find({json.dumps(css)})?.isConnected")
        self._element(css).send_keys(str(path))

    def screenshot(self, path: Path) -> None:
        path.write_bytes(self._driver.get_screenshot_as_png())

    def complaints(self) -> list[str]:
        heard = [*self._heard, *self.evaluate("(window.complaints ?? []).splice(0)")]
        self._heard = []
        return [line for line in heard if not line.startswith(PUT_OFF)]

    def close(self) -> None:
        self._resources.close()


PUT_OFF = ("ResizeObserver loop completed", "TypeError: error loading dynamically imported module")
"""What is no fault of the page: a change of size that is handed on in the next frame (WebKit), and a module
of Streamlit's that was on its way when the page was left (Firefox)."""
BROWSERS: Mapping[str, Callable[[bool], Window]] = {"firefox": Firefox, "webkit": WebKit}


@contextlib.contextmanager
def running(
    command: list[str], environment: Mapping[str, str], pass_fds: tuple[int, ...] = ()
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program as long as it is needed, and read nothing of what it prints."""
    surroundings, nothing = {**os.environ, **environment}, subprocess.DEVNULL
    process = subprocess.Popen(command, env=surroundings, stdout=nothing, stderr=nothing, pass_fds=pass_fds)
    try:
        yield process
    finally:
        stop(process)


@contextlib.contextmanager
def screen_of(command: str) -> Iterator[str]:
    """Run Xvfb and yield the name of the display that it chose."""
    reading, writing = os.pipe()
    arguments = ["-displayfd", str(writing), "-screen", "0", "1600x1200x24", "-nolisten", "tcp"]
    with open(reading) as answer, running([command, *arguments], {}, (writing,)):
        os.close(writing)
        number = answer.readline().strip()
        assert number, "Xvfb ended as soon as it had started"
        yield f":{number}"
