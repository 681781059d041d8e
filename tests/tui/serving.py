"""`headwater serve` as a process, and visitors of it."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp

PATIENCE_S = 60
FROM_SOURCE = (sys.executable, "-m", "tui")


@contextmanager
def served(
    runs: Path, *options: str, program: Sequence[str] = FROM_SOURCE, **process: Any
) -> Iterator[str]:
    """Starts a server, with further options of its process; gives the address that it prints."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [*program, "--runs", str(runs), "serve", "--port", str(port), *options]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **process)
    try:
        assert server.stdout is not None
        line = server.stdout.readline()
        wait_for(port)
        yield line.rsplit(" ", 1)[1].strip()
    finally:
        server.terminate()
        server.communicate(timeout=PATIENCE_S)


def wait_for(port: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        with socket.socket() as knocking:
            if knocking.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)


@asynccontextmanager
async def visiting(address: str) -> AsyncIterator[aiohttp.ClientSession]:
    """A visitor who has opened the address, token and all; paths are then relative to it."""
    base = address.partition("?")[0]
    async with aiohttp.ClientSession(base, cookie_jar=aiohttp.CookieJar(unsafe=True)) as visitor:
        async with visitor.get(address) as page:
            assert page.status == 200
        yield visitor


@asynccontextmanager
async def seeing(
    visitor: aiohttp.ClientSession, text: bytes
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """A session of the dashboard that has shown the text."""
    async with visitor.ws_connect("/ws?width=80&height=24") as session:
        seen = b""
        async with asyncio.timeout(PATIENCE_S):
            while text not in seen:
                message = await session.receive()
                assert message.type not in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
                seen += message.data if isinstance(message.data, bytes) else b""
        yield session
