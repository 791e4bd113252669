"""``python -m app room``: serve this machine's network, and open a room for the class in it.

Unlike ``run``, it listens on every address of this machine, on purpose: whoever is in the same network can
open the pages. Networks cannot be added from the page then.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from operator import itemgetter
from typing import TextIO

import segno
from streamlit import config

from app.access import base
from settings import ROOT, of_a_server

EVERYWHERE = "0.0.0.0"
HERE = "127.0.0.1"
PORT = 8501
REFUSED = 2
PATIENCE = 300.0
"""Seconds until the server must be up: it imports torch and loads the first network."""
CERTIFICATE, CERTIFICATE_VARIABLE = "--server.sslCertFile", "STREAMLIT_SERVER_SSL_CERT_FILE"
"""Where Streamlit is told its certificate."""
SOMEWHERE = ("192.0.2.1", 9)
"""An address that nobody has (RFC 5737): asking which of our own leads there sends nothing."""
CAMERA = (
    "Phones offer their camera where a picture is chosen, over http too. A live camera picture on a page "
    "needs https, by a proxy in front: see docs/deploy.md."
)
NO_NETWORK = "This machine is in no network: connect it to the one that the phones are in, and start again."
TAKEN = "Expected port {port} to be free, but another program listens there: end it or name a --port."
STOPPED = "Expected the server to start, but it stopped: what it printed above says why."
SLOW = "Expected the server to be up within {seconds:.0f} seconds, but it is not."


def main(arguments: list[str]) -> int:
    """Serve until Ctrl-C, with a new room; return the exit status. Further options are Streamlit's."""
    options, more = _parser().parse_known_args(arguments)
    if not free(options.port):
        print(TAKEN.format(port=options.port), file=sys.stderr)
        return REFUSED
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # the server ends with this program
    server = subprocess.Popen(command(options.port, more), cwd=ROOT, env=of_a_server())
    try:
        refusal = _opened(server, scheme(more), options.port, options.title, sys.stdout)
        if refusal:
            print(refusal, file=sys.stderr)
            return REFUSED
        return server.wait()
    except KeyboardInterrupt:
        return 130
    finally:
        stop(server)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m app room", description=__doc__, allow_abbrev=False)
    parser.add_argument("--port", "--server.port", type=int, default=PORT, help="where to listen")
    parser.add_argument("--title", default="", help="what the room is called")
    return parser


def command(port: int, more: list[str]) -> list[str]:
    """Return what starts the server."""
    address = ["--server.address", EVERYWHERE, "--server.port", str(port), "--server.headless", "true"]
    # Otherwise Streamlit asks a machine on the internet what this one's address is.
    shown = [option for host in addresses()[:1] for option in ("--browser.serverAddress", host)]
    return [sys.executable, "-m", "streamlit", "run", str(ROOT / "app" / "main.py"), *address, *shown, *more]


def scheme(more: list[str]) -> str:
    """Return "https" where Streamlit was given a certificate: by an option, its environment or its file."""
    given = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    given.add_argument(CERTIFICATE, dest="certificate")
    if given.parse_known_args(more)[0].certificate or os.environ.get(CERTIFICATE_VARIABLE):
        return "https"
    return "https" if config.get_option("server.sslCertFile") else "http"


def free(port: int) -> bool:
    """Say whether nobody listens on a port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server does
        try:
            probe.bind((EVERYWHERE, port))
        except OSError:
            return False
    return True


def stop(server: subprocess.Popen[bytes]) -> None:
    """End the server, which writes down what runs have come to."""
    if server.poll() is None:
        server.terminate()
    try:
        server.wait(20)
    except subprocess.TimeoutExpired:
        server.kill()


def _opened(server: subprocess.Popen[bytes], kind: str, port: int, title: str, out: TextIO) -> str:
    """Wait for the server, open a room and print how to get in; return why not, "" when it is open."""
    at = f"{kind}://{HERE}:{port}{base()}"
    refusal = _awaited(server, f"{at}/health")
    if refusal:
        return refusal
    body = json.dumps({"title": title}).encode()
    request = urllib.request.Request(f"{at}/rooms", body)
    with urllib.request.urlopen(request, timeout=60, context=_to_ourselves()) as answer:
        code, key = itemgetter("code", "key")(json.load(answer))
    print(invitation(addresses(), port, code, key, kind), file=out, flush=True)
    return ""


def _awaited(server: subprocess.Popen[bytes], health: str) -> str:
    """Wait until the server says that it is up; return why it is not, "" when it is."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if server.poll() is not None:
            return STOPPED
        try:
            with urllib.request.urlopen(health, timeout=10, context=_to_ourselves()):
                return ""
        except (urllib.error.URLError, OSError):  # not there yet, or still loading
            time.sleep(0.2)
    return SLOW.format(seconds=PATIENCE)


def _to_ourselves() -> ssl.SSLContext:
    """Return how to ask this very machine, whose certificate is for the name that others know it by."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def invitation(hosts: list[str], port: int, code: str, key: str, kind: str = "http") -> str:
    """Return what a teacher needs: how students join, where the wall is, the key, what a camera needs.

    ``kind``: "http" or "https".
    """
    sites = [f"{kind}://{host}:{port}" for host in hosts] or [f"{kind}://{HERE}:{port}"]
    room = f"{sites[0]}{base()}/rooms/{code}"
    lines = [
        "",
        *([] if hosts else [NO_NETWORK, ""]),
        *([qr(room), ""] if hosts else []),
        f"  Students   {room}",
        f"             or {sites[0]}{base()}/rooms and the code {code}",
        f"  The wall   {room}/wall#key={key}",
        f"  Teacher    {sites[0]}{base().removesuffix('/foolscope')}/teach?room={code}",
        f"  Your key   {key}  (keep it: it brings you back into the room)",
        *(f"  Also at    {site}" for site in sites[1:]),
        "",
        *([CAMERA] if kind == "http" else []),
        "Ctrl-C ends the server; the room stays until it is ended on the teacher's page.",
    ]
    return "\n".join(lines)


def qr(text: str) -> str:
    """Return a QR code for a terminal."""
    drawn = io.StringIO()
    segno.make_qr(text, error="l").terminal(drawn, border=2, compact=True)
    return drawn.getvalue().rstrip("\n")


def addresses(resolve: Callable[[], list[str]] | None = None) -> list[str]:
    """Return this machine's addresses in its networks, the one that leads out of them first."""
    known = [_outward(), *(resolve or _of_this_host)()]
    return list(dict.fromkeys(address for address in known if address and not address.startswith("127.")))


def _outward() -> str:
    """Return the address that this machine has where it leads out of its network, "" without one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(SOMEWHERE)
            return str(probe.getsockname()[0])
        except OSError:
            return ""


def _of_this_host() -> list[str]:
    try:
        return socket.gethostbyname_ex(socket.gethostname())[2]
    except OSError:
        return []
