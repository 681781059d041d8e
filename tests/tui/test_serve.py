"""The dashboard in a browser: who is let in, and what they see."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer
from PIL import Image

from pipeline.contract.errors import UsageError
from tests.tui import sample_run
from tests.tui.serving import PATIENCE_S, seeing, served, visiting
from tui.serve import DashboardServer, is_loopback

GROUND, ACCENT = (0x10, 0x15, 0x1A), (0x5C, 0xC4, 0xD6)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@asynccontextmanager
async def client_of(server: DashboardServer) -> AsyncIterator[TestClient[Any, Any]]:
    async with TestClient(TestServer(await server._make_app())) as client:
        yield client


def test_beyond_the_loopback_it_takes_a_token(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.7", "gpu-server"):
        assert not is_loopback(host)
        with pytest.raises(UsageError, match="takes a token"):
            DashboardServer(tmp_path, host, 8000, token="")
    for host in ("127.0.0.1", "localhost", "::1", "127.3.2.1"):
        assert is_loopback(host)


async def test_without_the_token_nobody_gets_in(tmp_path: Path) -> None:
    async with client_of(DashboardServer(tmp_path, "0.0.0.0", 8000, "secret")) as client:
        for path in ("/", "/ws", "/static/js/textual.js", "/?token=guess", "/ws?token="):
            assert (await client.get(path)).status == 401


async def test_the_token_opens_the_page_and_leaves_the_address_bar(tmp_path: Path) -> None:
    async with client_of(DashboardServer(tmp_path, "0.0.0.0", 8000, "secret")) as client:
        entered = await client.get("/?token=secret", allow_redirects=False)
        assert (entered.status, entered.headers["Location"]) == (303, "/")
        assert "HttpOnly" in entered.headers["Set-Cookie"]
        assert "SameSite=Strict" in entered.headers["Set-Cookie"]
        client.session.cookie_jar.update_cookies({"headwater": "secret"}, client.make_url("/"))
        page = await (await client.get("/")).text()
        assert f"ws://{client.host}:{client.port}/ws" in page


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example:8000"}, {"Origin": "https://evil.example"}]
)
async def test_a_page_of_another_site_gets_nothing(tmp_path: Path, headers: dict[str, str]) -> None:
    async with client_of(DashboardServer(tmp_path, "127.0.0.1", 8000, "")) as client:
        assert (await client.get("/")).status == 200
        for path in ("/", "/ws"):
            assert (await client.get(path, headers=headers)).status == 403


def test_a_port_that_is_taken_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "tui", "--runs", str(tmp_path), "serve", "--port", port]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "choose another with --port" in result.stderr
    assert "Traceback" not in result.stderr


async def test_it_is_the_same_dashboard_and_ends_with_its_visitor(tmp_path: Path) -> None:
    sample_run.scored_run(tmp_path, "books")
    with served(tmp_path) as address:
        async with visiting(address) as visitor, seeing(visitor, b"all stages done"):
            assert visitors(tmp_path)
        deadline = time.monotonic() + PATIENCE_S
        while visitors(tmp_path) and time.monotonic() < deadline:
            await asyncio.sleep(0.2)
        assert not visitors(tmp_path)


def visitors(runs: Path) -> list[str]:
    """Command lines of the dashboards that a server has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.append(path.read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    wanted = re.compile(rf"-m tui --runs {re.escape(str(runs))} tui")
    return [line for line in found if wanted.search(line)]


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
async def test_a_browser_shows_it(tmp_path: Path) -> None:
    sample_run.scored_run(tmp_path / "runs", "books")
    options = ("--host", "0.0.0.0", "--token", "secret")
    with served(tmp_path / "runs", *options) as address:
        assert address.endswith("/?token=secret")
        address = address.replace("0.0.0.0", "127.0.0.1")
        async with browsing(tmp_path / "profile", address) as page:
            colours: dict[object, int] = {}
            async with asyncio.timeout(PATIENCE_S):
                while colours.get(GROUND, 0) < 350_000:  # of 557,000 pixels or so
                    await asyncio.sleep(1)
                    image = await screenshot(page)
                    found = image.getcolors(1 << 24) or []
                    colours = {colour: count for count, colour in found}
            assert colours.get(ACCENT, 0) > 100


class Page:
    """A page of the browser, spoken to by its debugging protocol."""

    def __init__(self, socket_: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._number = socket_, 0

    async def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        await self._socket.send_json(message)
        while True:
            answer: dict[str, Any] = await self._socket.receive_json()
            if answer.get("id") == self._number:
                result: dict[str, Any] = answer["result"]
                return result


@asynccontextmanager
async def browsing(profile: Path, address: str) -> AsyncIterator[Page]:
    flags = ("--headless", "--no-sandbox", "--disable-gpu", "--window-size=1000,700")
    process = subprocess.Popen(
        [str(CHROMIUM), *flags, f"--user-data-dir={profile}", "--remote-debugging-port=0", address],
        stderr=subprocess.DEVNULL,
    )
    try:
        port_file = profile / "DevToolsActivePort"
        async with asyncio.timeout(PATIENCE_S):
            while not port_file.exists() or not port_file.read_text():
                await asyncio.sleep(0.2)
        tools = f"http://127.0.0.1:{port_file.read_text().splitlines()[0]}/json"
        async with aiohttp.ClientSession() as session:
            pages = json.loads(await (await session.get(tools)).text())
            url = next(p["webSocketDebuggerUrl"] for p in pages if p["type"] == "page")
            async with session.ws_connect(url, max_msg_size=1 << 26) as socket_:
                yield Page(socket_)
    finally:
        process.kill()
        process.wait()


async def screenshot(page: Page) -> Image.Image:
    data = base64.b64decode((await page.ask("Page.captureScreenshot"))["data"])
    if kept := os.environ.get("HEADWATER_SCREENSHOT"):
        Path(kept).write_bytes(data)
    return Image.open(io.BytesIO(data)).convert("RGB")
