"""Thirty people who watch the same run: what they cost the server."""

from __future__ import annotations

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from websockets.asyncio.client import connect

from bench.figures import Figure, figure
from bench.watched import Window, address


async def sit(url: str, count: int, pid: int, seconds: float) -> float:
    """Return the share of one core that the process uses while ``count`` sockets are open on a run."""
    sockets = await asyncio.gather(*(connect(url, max_size=None) for _ in range(count)))
    readers = [asyncio.create_task(_drain(socket)) for socket in sockets]
    await asyncio.sleep(1.0)
    before = used(pid)
    await asyncio.sleep(seconds)
    share = (used(pid) - before) / seconds
    for reader in readers:
        reader.cancel()
    await asyncio.gather(*(socket.close() for socket in sockets))
    return share


def used(pid: int) -> float:
    """Return the processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))


def watchers(here: Window, model: str, repeats: int, count: int = 30) -> Figure:
    """Measure a paused run with ``count`` sockets against the same without them."""
    here.open(address(model, 10_000))
    here.press_run()
    here.page.wait_for_function("window.seen.length && window.seen.at(-1)[2] > 0")
    here.page.locator("button[data-test=play]").click()
    here.page.wait_for_function("window.seen.at(-1)[3] === 'paused'")
    run = here.page.evaluate("window.seen.at(-1)[1]")
    url = f"{here.site.url.replace('http', 'ws', 1)}/foolscope/runs/{run}/live"
    shares = []
    with ThreadPoolExecutor(1) as elsewhere:  # the browser's driver keeps this thread's event loop
        for _ in range(repeats):
            alone, crowded = (
                elsewhere.submit(asyncio.run, sit(url, n, here.site.process.pid, 4)).result()
                for n in (0, count)
            )
            shares.append(100 * (crowded - alone))
    here.page.locator("button[data-test=stop]").click()
    return figure(
        "watchers", f"{count} watchers of one run", shares, "% of a core", "below 10 %", lambda v: v < 10
    )


async def _drain(socket: object) -> None:
    async for _ in socket:  # type: ignore[attr-defined]
        pass
