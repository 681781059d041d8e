"""The dashboard in a browser, by textual-serve: every visitor gets a process of their own.

Whoever reaches the page can start and delete runs. So it listens on the loopback only, or asks
for a token; and a page of another site that the same browser has open gets no further than one
of another machine: its requests name the wrong host or origin.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

from pipeline.contract.children import shell_command
from pipeline.contract.errors import UsageError
from tui.printed.output import echo

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_COOKIE = "headwater"
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
    """Serves `headwater tui`; `token` is asked of every visitor where it is not empty.

    Raises:
        UsageError: it would listen beyond the loopback without a token.
    """

    def __init__(self, runs: Path, host: str, port: int, token: str) -> None:
        if not token and not is_loopback(host):
            raise UsageError(f"{host} can be reached from elsewhere: that takes a token")
        command = shell_command("-m", "tui", "--runs", str(runs.resolve()), "tui")
        super().__init__(command, host, port, title="Headwater")
        self._token = token

    @property
    def address(self) -> str:
        """What to open in the browser."""
        return f"{self.public_url}/?token={self._token}" if self._token else self.public_url

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
            entered.set_cookie(_COOKIE, self._token, httponly=True, samesite="Strict")
            return entered
        if not self._is_right(request.cookies.get(_COOKIE, "")):
            raise web.HTTPUnauthorized(text="open the address with the token that was printed\n")
        return await handler(request)

    def _is_own_name(self, host: str) -> bool:
        """On the loopback only its own names count: a site may name itself 127.0.0.1 in the DNS."""
        name = host if host.endswith("]") else host.rpartition(":")[0] or host
        return not is_loopback(self.host) or name in (*_LOCAL_NAMES, self.host)

    def _is_right(self, token: str) -> bool:
        return hmac.compare_digest(token.encode(), self._token.encode())


def serve(runs: Path, host: str, port: int, token: str | None) -> None:
    """Serves the dashboard until it is interrupted; makes a token where one is needed.

    Raises:
        UsageError: it cannot listen there.
    """
    if token is None:
        token = "" if is_loopback(host) else secrets.token_urlsafe(24)
    server = DashboardServer(runs, host, port, token)
    try:
        server.serve()
    except OSError as error:
        hint = "choose another with --port, or another address with --host"
        raise UsageError(f"cannot listen on {host}, port {port}: {error.strerror}", hint) from error
