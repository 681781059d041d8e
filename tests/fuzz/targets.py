"""What reads bytes that others wrote, each as a function of bytes: it may refuse them in words."""

from __future__ import annotations

import asyncio
import atexit
import codecs
import io
import json
import shutil
import tempfile
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.contract.errors import DataError, HeadwaterError, SettingsError
from pipeline.contract.results.tensors import open_tensors
from pipeline.contract.run.events import EventReader
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.profiles import profile, render_settings
from pipeline.contract.settings.prompts import load_prompts
from pipeline.corpus.files import file_rows
from tests.tui import sample_run
from tui.readers.clean import clean
from tui.readers.runs import RunsReader
from tui.serve import Session
from tui.terminal import KeyParser

KEPT = Path(__file__).parent / "kept"
"""Inputs that once ended a target, in a folder of its name."""


@dataclass(frozen=True)
class Target:
    """Something that reads bytes.

    `read` raises nothing but what a person is told. `seeds` are whole inputs, of which others are
    made. A native reader may end its process, and is tried in one of its own.
    """

    read: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    is_native: bool = False


@cache
def folder() -> Path:
    """A folder of this process, taken away with it."""
    made = Path(tempfile.mkdtemp())
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    return made


def file_of(name: str, content: bytes) -> Path:
    """A file with the content."""
    path = folder() / name
    path.write_bytes(content)
    return path


def read_settings(content: bytes) -> None:
    """Settings; those that are read are the same when they are written and read again."""
    with suppress(SettingsError):
        found = load_settings(file_of("settings.toml", content))
        again = load_settings(file_of("again.toml", render_settings(found).encode()))
        assert again == found


def read_prompts(content: bytes) -> None:
    """Prompts, as lines or as a list."""
    with suppress(SettingsError):
        for prompt in load_prompts(file_of("prompts.jsonl", content)):
            assert json.dumps(prompt.as_written()).encode()


def read_rows(name: str) -> Callable[[bytes], None]:
    """Rows of a data file of this name."""

    def read(content: bytes) -> None:
        path = file_of(name, content)
        with suppress(DataError):
            for row in file_rows(path, ("text", "id"), lambda told: None, ("messages",)):
                assert row.fault or "text" in row.cells
                assert 0 <= row.size <= len(content) or path.suffix in (".arrow", ".gz")

    return read


def read_events(content: bytes) -> None:
    """Events, in one go and in parts: the same ones."""
    path = file_of("events.jsonl", content)
    whole, parts, reader = EventReader(path).read(), [], EventReader(path)
    for _ in range(content.count(b"\n") + 1):
        parts += reader.read(7)
    assert repr(parts) == repr(whole)


def read_tensors(content: bytes) -> None:
    """A safetensors file: every tensor of it can be looked at."""
    with suppress(HeadwaterError):
        file = open_tensors(RunDir(folder()), "prepare", file_of("a.safetensors", content))
        for name in file._header:
            assert file.array(name).nbytes <= len(content)


def read_run(content: bytes) -> None:
    """A run of which one file, named by the first byte, holds the rest."""
    runs = folder() / "runs"
    if not runs.exists():
        sample_run.train_events(sample_run.scored_run(runs, "odd"), done=0.4)
    files = sorted(file for file in runs.rglob("*.json*") if file.is_file())
    file = files[content[0] % len(files)] if content else files[0]
    before = file.read_bytes()
    try:
        file.write_bytes(content[1:])
        (row,) = RunsReader(runs).read()
        assert row.run.name == "odd"
    finally:
        file.write_bytes(before)


def read_terminal(content: bytes) -> None:
    """What comes from a terminal, whole and in small pieces."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for pieces in ([content], [content[at : at + 13] for at in range(0, len(content), 13)]):
        parser = KeyParser()
        for text in filter(None, map(decoder.decode, pieces)):  # Textual's driver waits for more
            list(parser.feed(text))
        list(parser.tick())


def read_browser(content: bytes) -> None:
    """What a browser sends to a served dashboard."""

    class Quiet(Session):
        async def send_bytes(self, data: bytes) -> bool:
            assert data  # Textual takes none for the end of all input
            return True

        async def send_meta(self, data: dict[str, str | int | bool | None]) -> bool:
            assert len(json.dumps(data)) < 200
            return True

        async def send_none(self, *_: object) -> None:
            raise AssertionError("a message is no reason to answer by itself")

    unused = Quiet.send_none
    session = Quiet((), write_bytes=unused, write_str=unused, close=unused, download_manager=None)
    asyncio.run(session.receive(content.decode("utf-8", "replace")))


_DIRECTING = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}


def read_text(content: bytes) -> None:
    """A text of data, as a terminal is shown it."""
    shown = clean(content.decode("utf-8", "surrogateescape"))
    assert not {unicodedata.category(letter) for letter in shown} & {"Cc", "Cs", "Zl", "Zp"}
    assert not {unicodedata.bidirectional(letter) for letter in shown} & _DIRECTING


def _table() -> pa.Table:
    texts = [f"Row {number} tells of the mill." for number in range(8)]
    turns = [[{"role": "user", "content": text}] for text in texts]
    return pa.table({"id": [str(number) for number in range(8)], "text": texts, "messages": turns})


def _parquet(**options: str | bool) -> bytes:
    file = io.BytesIO()
    pq.write_table(_table(), file, **options)
    return file.getvalue()


def _arrow(new: Callable[..., pa.RecordBatchWriter]) -> bytes:
    sink = pa.BufferOutputStream()
    with new(sink, _table().schema) as writer:
        writer.write_table(_table())
    return bytes(sink.getvalue().to_pybytes())


_LINES = b'{"text": "a mill", "id": "1"}\n{"text": "caf\xc3\xa9", "id": 2, "messages": []}\n'
_PROMPTS = (
    b'{"id": "a", "prompt": "The mill", "completion": " turns", "relevant": ["1"]}\n'
    b'{"id": "b", "messages": [{"role": "user", "content": "Hm?"}, '
    b'{"role": "assistant", "content": "Yes."}]}\n'
)
_HEADER = b'{"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}, "__metadata__": {}}'
_TENSORS = len(_HEADER).to_bytes(8, "little") + _HEADER + bytes(8)
_EVENTS = (
    b'{"type": "started", "stage": "train", "time": 1.5, "attempt": 1}\n'
    b'{"type": "progress", "stage": "train", "time": 2, "done": 3, "total": 9, "unit": "steps"}\n'
    b'{"type": "metric", "stage": "train", "time": 2, "name": "loss", "step": 3, "value": 0.5}\n'
)
_KEYS = b"\x1b[A\x1b[1;5D\x1b[<0;3;4M\x1b[200~pasted\x1b[201~\x1bOP\x1b[?2026;2$yq\xc3\xa9\x7f"

TARGETS: dict[str, Target] = {
    "settings": Target(
        read_settings,
        tuple(render_settings(profile(name)).encode() for name in ("demo", "own-text", "lora")),
    ),
    "prompts": Target(read_prompts, (_PROMPTS, b"[%s]" % _PROMPTS.replace(b"\n", b",")[:-1])),
    "jsonl": Target(read_rows("a.jsonl"), (_LINES,)),
    "json": Target(read_rows("a.json"), (b"[%s]" % _LINES.replace(b"\n", b",")[:-1],)),
    "csv": Target(read_rows("a.csv"), (b'id,text\n1,"a, mill"\n2,"two\nlines ""quoted"""\n',)),
    "txt": Target(read_rows("a.txt"), (b"\xef\xbb\xbfOnce upon a time\n\nthere was a mill.\n",)),
    "parquet": Target(
        read_rows("a.parquet"),
        (_parquet(compression="NONE"), _parquet(compression="zstd", use_dictionary=False)),
        is_native=True,
    ),
    "arrow": Target(
        read_rows("a.arrow"), (_arrow(pa.ipc.new_stream), _arrow(pa.ipc.new_file)), is_native=True
    ),
    "events": Target(read_events, (_EVENTS,)),
    "tensors": Target(read_tensors, (_TENSORS,)),
    "run": Target(read_run, (b"\0" + _EVENTS, b"\1{}", b"\2[]")),
    "terminal": Target(read_terminal, (_KEYS,)),
    "browser": Target(
        read_browser, (b'["resize", {"width": 80, "height": 24}]', b'["stdin", "x"]')
    ),
    "text": Target(read_text, (b"plain \x1b[31m red \xe2\x80\xae back \xc2\x9b \xff",)),
}


def kept_inputs() -> list[tuple[str, Path]]:
    """Target and file of every input that is kept."""
    return [(file.parent.name, file) for file in sorted(KEPT.glob("*/*"))]
