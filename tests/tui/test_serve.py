"""The dashboard in a browser: who is let in, and what they see."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import psutil
import pytest
from aiohttp.test_utils import TestClient, TestServer
from click.testing import CliRunner
from PIL import Image
from yarl import URL

from pipeline.contract.errors import UsageError
from tests.tui import sample_run
from tests.tui.serving import PATIENCE_S, seeing, served, visiting
from tui import cli
from tui.serve import (
    MOST_COLUMNS,
    MOST_ROWS,
    DashboardServer,
    bounded,
    chosen_token,
    is_loopback,
)

GROUND, ACCENT = (0x10, 0x15, 0x1A), (0x5C, 0xC4, 0xD6)
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@asynccontextmanager
async def client_of(server: DashboardServer) -> AsyncIterator[TestClient[Any, Any]]:
    jar = aiohttp.CookieJar(unsafe=True)  # takes cookies of a host that has no name, too
    async with TestClient(TestServer(await server._make_app()), cookie_jar=jar) as client:
        yield client


def test_beyond_the_loopback_there_is_no_way_without_a_token(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.7", "gpu-server"):
        assert not is_loopback(host)
        with pytest.raises(UsageError, match="takes a token"):
            DashboardServer(tmp_path, host, 8000, token="")
    for host in ("127.0.0.1", "localhost", "::1", "127.3.2.1"):
        assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
async def test_without_the_token_nobody_gets_in(tmp_path: Path, host: str) -> None:
    async with client_of(DashboardServer(tmp_path, host, 8000, "secret")) as client:
        for path in ("/", "/ws", "/static/js/textual.js", "/?token=guess", "/ws?token="):
            assert (await client.get(path)).status == 401


@pytest.mark.parametrize("token", ["secret", "a&b=c d+é;%", '"quoted"'])
async def test_the_token_opens_the_page_and_leaves_the_address_bar(
    tmp_path: Path, token: str
) -> None:
    server = DashboardServer(tmp_path, "0.0.0.0", 8000, token)
    async with client_of(server) as client:
        path = URL(server.address, encoded=True).relative()
        entered = await client.get(path, allow_redirects=False)
        assert (entered.status, entered.headers["Location"]) == (303, "/")
        assert "HttpOnly" in entered.headers["Set-Cookie"]
        assert "SameSite=Strict" in entered.headers["Set-Cookie"]
        page = await (await client.get("/")).text()
        assert f"ws://{client.host}:{client.port}/ws" in page


async def test_two_servers_on_one_machine_keep_apart_in_one_browser(tmp_path: Path) -> None:
    one, other = (DashboardServer(tmp_path, "127.0.0.1", 8000, token) for token in ("a", "b"))
    async with client_of(one) as client, client_of(other) as another:
        another.session._cookie_jar = client.session.cookie_jar
        for visitor, token in ((client, "a"), (another, "b")):
            assert (await visitor.get(f"/?token={token}")).status == 200
        for visitor in (client, another):
            assert (await visitor.get("/")).status == 200


@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example:8000"}, {"Origin": "https://evil.example"}]
)
async def test_a_page_of_another_site_gets_nothing(tmp_path: Path, headers: dict[str, str]) -> None:
    async with client_of(DashboardServer(tmp_path, "127.0.0.1", 8000, "")) as client:
        assert (await client.get("/")).status == 200
        for path in ("/", "/ws"):
            assert (await client.get(path, headers=headers)).status == 403


async def test_on_the_loopback_too_it_asks_for_a_token(tmp_path: Path) -> None:
    with served(tmp_path) as address:
        base, _, token = address.partition("/?token=")
        assert len(token) >= 32
        async with aiohttp.ClientSession(base) as stranger:
            for path in ("/", "/ws?width=80&height=24"):
                assert (await stranger.get(path)).status == 401
        async with visiting(address) as visitor, seeing(visitor, b"run"):
            assert not [line for line in visitors(tmp_path) if token in line]


async def test_without_a_token_only_where_it_is_asked_for(tmp_path: Path) -> None:
    with served(tmp_path, "--no-token") as address:
        assert "token" not in address
        async with aiohttp.ClientSession(address) as stranger:
            assert (await stranger.get("/")).status == 200


@pytest.mark.parametrize("way", ["environment", "file", "stdin"])
async def test_a_token_of_ones_own_is_on_no_command_line(tmp_path: Path, way: str) -> None:
    token = "of-my-own-and-long"
    file = tmp_path / "token"
    file.touch(mode=0o600)
    file.write_text(f"{token}\n")
    options = {
        "environment": (),
        "file": ("--token-file", str(file)),
        "stdin": ("--token-file", "-"),
    }
    variable = {"HEADWATER_TOKEN": token} if way == "environment" else {}
    with file.open() as stdin:
        process: dict[str, Any] = {"stdin": stdin, "env": {**os.environ, **variable}}
        with served(tmp_path, *options[way], **process) as address:
            assert address.endswith(f"/?token={token}")
            async with visiting(address) as visitor, seeing(visitor, b"run"):
                assert visitors(tmp_path)
                assert not processes_that_show(token)


def processes_that_show(token: str) -> list[str]:
    """Command lines with the token; environments of the dashboards with it."""
    told = [line for line in command_lines() if token in line]
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            variables = path.read_bytes()
            if token.encode() in variables and b"TEXTUAL_DRIVER=" in variables:
                told.append(f"{path}")
    return told


@pytest.mark.parametrize(
    ("content", "mode", "said"),
    [
        ("secret", 0o644, "can be read by others"),
        ("secret", 0o640, "can be read by others"),
        ("\n", 0o600, "no token"),
        (None, 0, "cannot be read"),
    ],
)
def test_a_file_that_can_hold_no_secret_is_refused(
    tmp_path: Path, content: str | None, mode: int, said: str
) -> None:
    file = tmp_path / "token"
    if content is not None:
        file.write_text(content)
        file.chmod(mode)
    with pytest.raises(UsageError, match=said) as refused:
        chosen_token(file, {})
    assert str(file) in refused.value.message


def test_a_token_is_made_where_none_is_given() -> None:
    made = {chosen_token(None, {}) for _ in range(3)} | {
        chosen_token(None, {"HEADWATER_TOKEN": ""})
    }
    assert len(made) == 4
    assert all(len(token) >= 32 for token in made)


def test_a_token_and_none_at_once_are_refused(tmp_path: Path) -> None:
    arguments = ["--runs", str(tmp_path), "serve", "--no-token", "--token-file", "x"]
    refused = CliRunner().invoke(cli.main, arguments)
    assert refused.exit_code == 2
    assert "exclude each other" in refused.output


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
    wanted = re.compile(rf"-m tui --runs {re.escape(str(runs))} tui")
    return [line for line in command_lines() if wanted.search(line)]


def command_lines() -> Iterator[str]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            yield path.read_bytes().replace(b"\0", b" ").decode(errors="replace")


@pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")
async def test_a_browser_shows_it(tmp_path: Path) -> None:
    sample_run.scored_run(tmp_path / "runs", "books")
    with served(tmp_path / "runs", "--host", "0.0.0.0") as address:
        address = address.replace("0.0.0.0", "127.0.0.1")
        async with browsing(tmp_path / "profile", address) as page:
            colours: dict[object, int] = {}
            async with asyncio.timeout(PATIENCE_S):
                # of 557,000 pixels or so; letters come after the ground
                while colours.get(GROUND, 0) < 350_000 or colours.get(ACCENT, 0) <= 100:
                    await asyncio.sleep(1)
                    image = await screenshot(page)
                    found = image.getcolors(1 << 24) or []
                    colours = {colour: count for count, colour in found}
            await page.until("document.title", "books · Headwater")
            await page.press("Escape")  # nobody has clicked
            await page.until("document.title", "Headwater")
            ground = "getComputedStyle(document.body).backgroundColor"
            await page.until(ground, f"rgb{GROUND}")
            for key in (":", *"Theme", "Enter", *"headwater-light", "Enter"):
                await page.press(key)
                await asyncio.sleep(0.3)
            await page.until(ground, "rgb(247, 249, 250)")


async def test_the_page_asks_no_other_site_for_anything(tmp_path: Path) -> None:
    with served(tmp_path) as address:
        async with visiting(address) as visitor, visitor.get("/") as page:
            text = await page.text()
    host = address.partition("?")[0].rstrip("/").removeprefix("http://")
    links = re.findall(r"(?:https?:|wss?:)?//[\w.:-]+", text)
    assert {link.rpartition("//")[2] for link in links} == {host}


class Page:
    """A page of the browser, spoken to by its debugging protocol."""

    def __init__(self, socket_: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._number = socket_, 0

    async def press(self, key: str) -> None:
        """Presses a key, as a person would."""
        text = {"Enter": "\r", "Escape": ""}.get(key, key)
        code = {"Enter": 13, "Escape": 27}.get(key, 0)
        down = {"type": "keyDown", "key": key, "text": text, "windowsVirtualKeyCode": code}
        await self.ask("Input.dispatchKeyEvent", **down)
        await self.ask("Input.dispatchKeyEvent", **{**down, "type": "keyUp"})

    async def until(self, expression: str, value: object) -> None:
        """Waits for a JavaScript expression to have a value."""
        found = None
        deadline = time.monotonic() + PATIENCE_S
        while found != value:
            assert time.monotonic() < deadline, f"{expression} is {found!r}, not {value!r}"
            answer = await self.ask("Runtime.evaluate", expression=expression)
            found = answer["result"].get("value")
            await asyncio.sleep(0.1)

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


ODD = (
    '["resize", {"width": 1000000000, "height": 1000000000}]',
    '["resize", {"width": "a"}]',
    '["resize"]',
    '["stdin", 7]',
    '["stdin", ""]',
    '["stdin", "\\ud800"]',
    "{}",
    "3",
    "no JSON",
    "[" * 100_000,
)
"""Messages as no page of ours sends them."""


@pytest.mark.parametrize(
    ("sent", "size"),
    [
        ((120, 40), (120, 40)),
        ((10**9, 10**9), (MOST_COLUMNS, MOST_ROWS)),
        ((0, -5), (1, 1)),
        (("wide", None), (80, 24)),
        ((1e300, [3]), (80, 24)),
    ],
)
def test_a_screen_has_only_so_many_cells(
    sent: tuple[object, object], size: tuple[int, int]
) -> None:
    assert bounded(*sent) == size


async def test_no_message_takes_a_session_much_memory_or_ends_it(tmp_path: Path) -> None:
    with served(tmp_path) as address:
        async with visiting(address) as visitor, seeing(visitor, b"run") as session:
            for message in ODD:
                await session.send_str(message)
            await session.send_json(["ping", "there"])
            await until(session, b'["pong", "there"]')
            await session.send_json(["resize", {"width": 80, "height": 24}])
            assert max(p.memory_info().rss for p in dashboards(tmp_path)) < 1 << 29
            await session.send_json(["stdin", "q"])  # it still hears
            async with asyncio.timeout(PATIENCE_S):
                while (await session.receive()).type != aiohttp.WSMsgType.CLOSED:
                    pass


async def until(session: aiohttp.ClientWebSocketResponse, wanted: bytes) -> None:
    """Waits until messages hold what is wanted."""
    seen = b""
    async with asyncio.timeout(PATIENCE_S):
        while wanted not in seen:
            message = await session.receive()
            assert message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY)
            seen += message.data if isinstance(message.data, bytes) else message.data.encode()


async def test_a_session_that_begins_huge_does_not(tmp_path: Path) -> None:
    with served(tmp_path) as address:
        async with visiting(address) as visitor:
            path = f"/ws?width={10**9}&height={10**9}"
            async with visitor.ws_connect(path) as session:
                await until(session, b"run")
                (dashboard,) = dashboards(tmp_path)
                assert dashboard.environ()["COLUMNS"] == str(MOST_COLUMNS)


async def test_only_so_many_sessions_are_open_and_a_closed_one_makes_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.serve.MOST_SESSIONS", 2)
    async with client_of(DashboardServer(tmp_path, "127.0.0.1", 8000, "")) as client:
        first, second = await client.ws_connect("/ws"), await client.ws_connect("/ws")
        for path in ("/", "/ws"):
            refused = await client.get(path)
            assert refused.status == 503
            assert "close a tab" in await refused.text()
        await first.close()
        async with asyncio.timeout(PATIENCE_S):
            while (await client.get("/")).status != 200:
                await asyncio.sleep(0.05)
        await second.close()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
async def test_sessions_end_with_the_server(tmp_path: Path, how: signal.Signals) -> None:
    with served(tmp_path) as address:
        async with visiting(address) as visitor, seeing(visitor, b"run"):
            (dashboard,) = dashboards(tmp_path)
            server = dashboard.parent()
            while server and "serve" not in server.cmdline():
                server = server.parent()
            assert server is not None
            server.send_signal(how)
            dashboard.wait(PATIENCE_S)


async def test_a_dashboard_that_does_not_end_by_itself_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tui.serve._ENDING_S", 0.2)
    async with client_of(DashboardServer(tmp_path, "127.0.0.1", 8000, "")) as client:
        session = await client.ws_connect("/ws")
        await until(session, b"run")
        (dashboard,) = dashboards(tmp_path)
        dashboard.suspend()
        await session.close()
        async with asyncio.timeout(PATIENCE_S):
            while dashboards(tmp_path):
                await asyncio.sleep(0.05)


async def test_the_socket_ends_with_a_dashboard_that_is_killed(tmp_path: Path) -> None:
    with served(tmp_path) as address:
        async with visiting(address) as visitor, seeing(visitor, b"run") as session:
            dashboards(tmp_path)[0].kill()
            async with asyncio.timeout(PATIENCE_S):
                while (await session.receive()).type != aiohttp.WSMsgType.CLOSED:
                    pass


def dashboards(runs: Path) -> list[psutil.Process]:
    """The processes that a server has started."""
    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            line = process.cmdline()
            if str(runs) in line and line[-1] == "tui" and "python" in Path(line[0]).name:
                found.append(process)
    return found
