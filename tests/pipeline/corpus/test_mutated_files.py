"""Files with changed bytes, read in a process of their own: a native reader's crash ends it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import random, sys
from pathlib import Path
import pyarrow as pa, pyarrow.parquet as pq
from pipeline.contract.errors import DataError
from pipeline.corpus.files import file_rows

folder, kind, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
texts = [f"Row {n} tells of the mill. " * (n % 5 + 1) for n in range(60)]
turns = [[{"role": "user", "content": text}] for text in texts]
table = pa.table({"id": [str(n) for n in range(60)], "text": texts, "messages": turns})
path = folder / ("a.parquet" if kind == "parquet" else "a.arrow")
if kind == "parquet":
    pq.write_table(table, path, compression="NONE")
elif kind == "arrow file":
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)
else:
    with pa.ipc.new_stream(path, table.schema) as writer:
        writer.write_table(table)
whole = path.read_bytes()
chance, read, refused = random.Random(31), 0, 0
for number in range(count):
    content = bytearray(whole)
    for _ in range(chance.choice((1, 1, 4, 16))):
        content[chance.randrange(len(content))] = chance.choice((0, 1, 127, 128, 255))
    if chance.random() < 0.1:
        del content[chance.randrange(len(content)):]
    path.write_bytes(content)
    try:
        for row in file_rows(path, ["text", "id"], lambda text: None, ["messages"]):
            str(row.cells)
        read += 1
    except DataError:
        refused += 1
print(read, refused)
"""


@pytest.mark.parametrize("kind", ["arrow stream", "arrow file", "parquet"])
def test_a_file_with_changed_bytes_is_read_or_refused(tmp_path: Path, kind: str) -> None:
    command = [sys.executable, "-c", SCRIPT, str(tmp_path), kind, "500"]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert ended.returncode == 0, f"signal or traceback: {ended.returncode}\n{ended.stderr[-2000:]}"
    read, refused = map(int, ended.stdout.split())
    assert read + refused == 500
    assert refused > 20, "the changes were not felt"
