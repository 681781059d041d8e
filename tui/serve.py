"""The dashboard in a browser, by textual-serve: every visitor gets a process of their own.

Whoever gets in can start and delete runs, and every account of this machine reaches what listens
on the loopback. So a token is asked for. No command line shows it: other accounts can read those.
A page of another site that the same browser has open gets no further than one of another machine:
its requests name the wrong host or origin.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import json
import logging
import os
import secrets
import sys
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from aiohttp import WSMsgType, web
from textual_serve.app_service import AppService
from textual_serve.server import Server, to_int

from pipeline.contract.children import child_environment, python_command
from pipeline.contract.errors import UsageError
from pipeline.contract.files import writable
from tui.printed.output import echo

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

TOKEN = "HEADWATER_TOKEN"
_OWN = "'self' 'unsafe-inline' data: blob: ws: wss:"
_HEADERS = {
    "Content-Security-Policy": f"default-src {_OWN}; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_PAGE = Path(__file__).with_name("page")
"""Ours in place of textual-serve's, which asks another site for a font and waits for a click."""
_LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")
MOST_SESSIONS = 16
"""Dashboards at once; each is a process."""
MOST_COLUMNS, MOST_ROWS = 1000, 400
"""Of a session's screen; a dashboard holds each of its cells."""
_ENDING_S = 10
_FULL = f"{MOST_SESSIONS} dashboards are open, the most at once: close a tab, then load this page\n"


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def bounded(columns: object, rows: object) -> tuple[int, int]:
    """A size that a screen may have; where what a browser sends is no number, the usual one."""

    def one(value: object, usual: int, most: int) -> int:
        return max(1, min(value, most)) if isinstance(value, int) else usual

    return one(columns, 80, MOST_COLUMNS), one(rows, 24, MOST_ROWS)


class Session(AppService):
    """The dashboard of one visitor: a process that ends with the visitor's socket."""

    def __init__(self, arguments: Sequence[str], **textual: Any) -> None:
        super().__init__("", **textual)
        self._arguments = python_command(*arguments)
        self._ending = asyncio.Lock()

    async def _open_app_process(
        self, width: int = 80, height: int = 24
    ) -> asyncio.subprocess.Process:
        self._process = await asyncio.create_subprocess_exec(
            *self._arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=child_environment(**self._build_environment(*bounded(width, height))),
        )
        self._stdin = self._process.stdin
        return self._process

    async def receive(self, message: str) -> list[object] | None:
        """Hands on what the browser sends, and gives the answer to it; what is odd is dropped."""
        match _parsed(message):
            case ["stdin", str(data), *_] if data:  # Textual takes none for the end of all input
                await self.send_bytes(writable(data).encode())
            case ["resize", {"width": columns, "height": rows}, *_]:
                await self.set_terminal_size(*bounded(columns, rows))
            case ["ping", data, *_]:
                return ["pong", data]
            case ["blur", *_]:
                await self.blur()
            case ["focus", *_]:
                await self.focus()
        return None

    async def run(self) -> None:
        """Follows the process; the socket ends with it, however it ends."""
        await super().run()
        await self.remote_close()

    async def stop(self) -> None:
        """Asks the process to end, and ends one that does not."""
        async with self._ending:
            if self._process is None:
                return
            late = asyncio.get_running_loop().call_later(_ENDING_S, self._kill)
            try:
                await super().stop()
                await self._process.communicate()  # unread, what it still writes would hold it up
            finally:
                late.cancel()

    def _kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()


def _parsed(message: str) -> object:
    try:
        return json.loads(message)
    except (ValueError, RecursionError):
        return None


class DashboardServer(Server):
    """Serves `headwater tui`; `token` is asked of every visitor, "" = of none.

    Raises:
        UsageError: it would listen beyond the loopback without a token.
    """

    def __init__(self, runs: Path, host: str, port: int, token: str) -> None:
        if not token and not is_loopback(host):
            raise UsageError(f"{host} can be reached from elsewhere: that takes a token")
        super().__init__("", host, port, title="Headwater", templates_path=_PAGE)
        self._arguments = ("-m", "tui", "--runs", str(runs.resolve()), "tui")
        self._token = token
        self._sessions: set[Session] = set()
        # browsers send a cookie to every port of a host: each server's has a name of its own
        self._cookie = f"headwater-{hashlib.sha256(token.encode()).hexdigest()[:12]}"

    @property
    def address(self) -> str:
        """What to open in the browser."""
        token = quote(self._token, safe="")
        return f"{self.public_url}/?token={token}" if token else self.public_url

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._guard)
        return app

    def initialize_logging(self) -> None:
        """Only trouble is told: a line for every request would show the token."""
        logging.basicConfig(level=logging.WARNING)

    async def on_startup(self, app: web.Application) -> None:
        """Says where it is to be found."""
        echo(f"the dashboard is at {self.address}\nCtrl-C ends it; stages go on")

    async def handle_index(self, request: web.Request) -> web.StreamResponse:
        """The page; it finds its way back by the name that the visitor came by."""
        self._require_room()
        self.public_url = f"{request.scheme}://{request.host}"
        page: web.StreamResponse = await super().handle_index(request)
        page.headers.update(_HEADERS)
        return page

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """A session for as long as the socket is open."""
        self._require_room()
        socket = web.WebSocketResponse(heartbeat=15)

        async def close() -> None:
            await socket.close()

        session = Session(
            self._arguments,
            write_bytes=socket.send_bytes,
            write_str=socket.send_str,
            close=close,
            download_manager=self.download_manager,
        )
        self._sessions.add(session)
        try:
            await socket.prepare(request)
            width, height = request.query.get("width", ""), request.query.get("height", "")
            await session.start(to_int(width, 80), to_int(height, 24))
            async for message in socket:
                if message.type == WSMsgType.TEXT and (
                    answer := await session.receive(message.data)
                ):
                    await socket.send_json(answer)
        finally:
            await session.stop()
            self._sessions.remove(session)
        return socket

    def _require_room(self) -> None:
        if len(self._sessions) >= MOST_SESSIONS:
            raise web.HTTPServiceUnavailable(text=_FULL)

    async def on_shutdown(self, app: web.Application) -> None:
        """Ends the sessions."""
        await asyncio.gather(*(session.stop() for session in self._sessions))

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Lets nobody in who lacks the token, or whom another site has sent."""
        if not self._is_own_name(request.host):
            raise web.HTTPForbidden(text="this server does not go by that name\n")
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.host:
            raise web.HTTPForbidden(text="sent by a page of another site\n")
        if not self._token:
            return await handler(request)
        if self._is_right(request.query.get("token", "")):
            # to the same place again, so that the token does not stay in the address bar
            entered = web.Response(status=303, headers={"Location": request.path})
            value = quote(self._token, safe="")
            entered.set_cookie(self._cookie, value, httponly=True, samesite="Strict")
            return entered
        if not self._is_right(unquote(request.cookies.get(self._cookie, ""))):
            raise web.HTTPUnauthorized(text="open the address with the token that was printed\n")
        return await handler(request)

    def _is_own_name(self, host: str) -> bool:
        """On the loopback only its own names count: a site may name itself 127.0.0.1 in the DNS."""
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        return not is_loopback(self.host) or name in (*_LOCAL_NAMES, self.host)

    def _is_right(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._token.encode())


def chosen_token(file: Path | None, environment: MutableMapping[str, str]) -> str:
    """The first line of the file ("-" = stdin), else HEADWATER_TOKEN, which is taken out of the
    environment so that no session inherits it, else a new one.

    Raises:
        UsageError: the file holds none, or others can read it.
    """
    named = environment.pop(TOKEN, "")
    return _token_in(file) if file else named or secrets.token_urlsafe(24)


def _token_in(file: Path) -> str:
    try:
        with sys.stdin if file == Path("-") else file.open(encoding="utf-8") as lines:
            if file != Path("-") and os.fstat(lines.fileno()).st_mode & 0o077:
                raise UsageError(f"{file} can be read by others", f"chmod 600 {file}")
            token = lines.readline().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{file} cannot be read: {error}") from error
    if not token:
        raise UsageError(f"there is no token in the first line of {file}")
    return token


def serve(runs: Path, host: str, port: int, token: str) -> None:
    """Serves the dashboard until it is interrupted.

    Raises:
        UsageError: it cannot listen there, or not without a token.
    """
    server = DashboardServer(runs, host, port, token)
    try:
        server.serve()
    except OSError as error:
        hint = "choose another with --port, or another address with --host"
        raise UsageError(f"cannot listen on {host}, port {port}: {error.strerror}", hint) from error
