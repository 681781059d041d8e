"""A container is healthy as long as what it was started for answers."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from tests.tui.serving import served as serving
from tui.container import health


def begun_with(*command: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The container's first process has this command line, and its runs are in the folder."""
    line = folder / "cmdline"
    line.write_text("\0".join(["tini", "--", "python", "-m", "tui.container", *command, ""]))
    monkeypatch.setattr(health, "_FIRST", line)
    monkeypatch.setenv("HEADWATER_RUNS", str(folder / "runs"))


@pytest.mark.parametrize(
    ("options", "address"),
    [
        ((), ("127.0.0.1", 8000)),
        (("--host", "0.0.0.0", "--port", "9000"), ("127.0.0.1", 9000)),
        (("--port=9000", "--no-token", "--host=10.1.2.3"), ("10.1.2.3", 9000)),
    ],
)
def test_where_the_dashboard_is_served_is_read_from_the_command_line(
    options: tuple[str, ...], address: tuple[str, int]
) -> None:
    assert health.served(["tini", "--", "serve", *options, ""]) == address
    assert health.served(["tini", "--", "run", "all", ""]) is None


def test_a_dashboard_that_answers_is_healthy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(tmp_path) as address:
        port = address.partition("/?")[0].rpartition(":")[2]
        begun_with("serve", "--port", port, folder=tmp_path, monkeypatch=monkeypatch)
        assert health.main() == 0


def test_a_dashboard_that_does_not_answer_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    begun_with("serve", "--port", port, folder=tmp_path, monkeypatch=monkeypatch)
    assert health.main() == 1
    assert "unhealthy: " in capsys.readouterr().out


def test_without_a_server_the_runs_must_be_readable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun_with("run", "all", folder=tmp_path, monkeypatch=monkeypatch)
    assert health.main() == 0
    (tmp_path / "runs").write_text("no folder")
    assert health.main() == 1
