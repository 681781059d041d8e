"""The dashboard in a browser, by textual-serve: every visitor gets a process of their own.

Whoever gets in can start and delete runs, and every account of this machine reaches what listens
on the loopback. So a token is asked for. No command line shows it: other accounts can read those.
A page of another site that the same browser has open gets no further than one of another machine:
its requests name the wrong host or origin.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import logging
import os
import secrets
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from aiohttp import web
from textual_serve.server import Server

from pipeline.contract.children import shell_command
from pipeline.contract.errors import UsageError
from tui.printed.output import echo

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

TOKEN = "HEADWATER_TOKEN"
_OWN = "'self' 'unsafe-inline' data: blob: ws: wss:"
_HEADERS = {
    # the template asks another site for a font: offline that can hold the page up for minutes
    "Content-Security-Policy": f"default-src {_OWN}; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
}
_LOCAL_NAMES = ("localhost", "127.0.0.1", "[::1]")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


class DashboardServer(Server):
    """Serves `headwater tui`; `token` is asked of every visitor, "" = of none.

    Raises:
        UsageError: it would listen beyond the loopback without a token.
    """

    def __init__(self, runs: Path, host: str, port: int, token: str) -> None:
        if not token and not is_loopback(host):
            raise UsageError(f"{host} can be reached from elsewhere: that takes a token")
        command = shell_command("-m", "tui", "--runs", str(runs.resolve()), "tui")
        super().__init__(command, host, port, title="Headwater")
        self._token = token
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
        self.public_url = f"{request.scheme}://{request.host}"
        page: web.StreamResponse = await super().handle_index(request)
        page.headers.update(_HEADERS)
        return page

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
