"""A hub of one dataset, some/scripted: its main branch holds a loading script, and the hub's own
conversion to Parquet stands on another branch, as the real hub has it."""

from __future__ import annotations

import hashlib
import io
import json
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

NAME = "some/scripted"
MAIN, CONVERTED, CONVERTED_REF = "1" * 40, "2" * 40, "refs/convert/parquet"


def _parquet(**columns: list[str]) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns), buffer)
    return buffer.getvalue()


FILES = {
    MAIN: {"scripted.py": b"import datasets\n"},
    CONVERTED: {
        "navigate/test/0000.parquet": _parquet(input=["q1", "q2"], target=["a", "b"]),
        "snarks/test/0000.parquet": _parquet(input=["other"], target=["c"]),
    },
}


class ScriptedHub(BaseHTTPRequestHandler):
    """Answers what `datasets` asks of a hub."""

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        path = unquote(urlsplit(self.path).path)
        commit = CONVERTED if CONVERTED in path or CONVERTED_REF in path else MAIN
        what = path.replace(f"/api/datasets/{NAME}", "").replace(f"/datasets/{NAME}", "")
        kind, _, rest = what.strip("/").partition("/")
        inside = rest.removeprefix(CONVERTED_REF).removeprefix(commit).strip("/")
        found: dict[str, object] | list[object]
        if kind in ("", "revision"):
            found = {"id": NAME, "sha": commit, "siblings": [], "tags": []}
        elif kind == "tree":
            found = [e for e in _entries(commit) if str(e["path"]).rpartition("/")[0] == inside]
        elif kind == "paths-info":
            found = [e for e in _entries(commit) if e["path"] in parse_qs(body)["paths"]]
        elif kind == "resolve" and inside in FILES[commit]:
            return self._send(200, FILES[commit][inside], commit)
        else:
            return self._send(404, b"", commit)
        return self._send(200, json.dumps(found).encode(), commit)

    do_HEAD = do_POST = do_GET

    def _send(self, status: int, body: bytes, commit: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Repo-Commit", commit)
        self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
        if status == 404:
            self.send_header("X-Error-Code", "EntryNotFound")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _entries(commit: str) -> list[dict[str, object]]:
    files = [{"type": "file", "path": path, "size": len(body), "oid": "0"}
             for path, body in FILES[commit].items()]  # fmt: skip
    folders = {path.rsplit("/", n)[0] for path in FILES[commit] for n in (1, 2) if "/" in path}
    return files + [{"type": "directory", "path": path, "oid": "0"} for path in folders]
