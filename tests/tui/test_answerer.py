"""A question that nobody waits for any more."""

from __future__ import annotations

import os
import socket
import tempfile
import threading
from pathlib import Path

import pytest

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.run.asking import WorkerAddress
from pipeline.contract.run.processes import ProcessIdentity
from pipeline.contract.run.replies import Query
from pipeline.contract.run.run_dir import RunDir
from tui.processes.answerer import Answerer


def test_an_abandoned_question_lets_go_of_the_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as worker:
        path = f"{folder}/worker"  # a socket's path is short
        worker.bind(path)
        worker.listen()
        worker.settimeout(10.0)
        address = WorkerAddress(ProcessIdentity.of(os.getpid()), path, "")
        answerer = Answerer(RunDir(Path(folder)))
        monkeypatch.setattr(answerer, "warm", lambda: address)
        ended = threading.Event()

        def wait() -> None:
            with pytest.raises(HeadwaterError):
                next(answerer.replies(Query("the river", " runs", 5)))
            ended.set()

        threading.Thread(target=wait, daemon=True).start()
        connection, _ = worker.accept()
        with connection:
            connection.settimeout(10.0)
            assert connection.recv(4096)
            answerer.abandon()
            assert ended.wait(10.0)
            assert connection.recv(4096) == b""
