"""What questions are traced to: the training examples, and texts added to the index later.

    index/features/             features of the training examples
    index/added/<name>/         one added file or folder: source.json (what it was read from),
                                examples.parquet, features/

A part is indexed by itself: adding one leaves the others as they are.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
from transformers import PreTrainedTokenizerBase

from pipeline.contract.files import read_json, write_json
from pipeline.contract.results.examples import read_origins, write_examples
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.file_marks import file_marks
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.cutting import ExampleBuilder, write_documents
from pipeline.corpus.read_counts import ReadCounts

_MARK = "+"
"""Before the ids of what the model was not trained on."""


@dataclass(frozen=True)
class Part:
    """Examples and where their features are; `source` is empty for the training examples."""

    examples: Path
    features: Path
    source: str = ""

    @property
    def phase(self) -> str:
        """What the stage does while it computes the features."""
        return f"features · {self.source}" if self.source else "features"

    def table(self, run: RunDir) -> pa.Table:
        """Ids, texts and sources of the examples; ids of added texts begin with +."""
        return read_origins(run, self.examples, _MARK if self.source else "")


def parts(settings: Settings, run: RunDir) -> list[Part]:
    """The training examples, then what [index] adds, in its order."""
    added = dict.fromkeys(settings.index.added)
    return [Part(run.examples, run.features), *(_part(run, source) for source in added)]


def read_part(
    part: Part,
    settings: Settings,
    run: RunDir,
    events: EventWriter,
    tokenizer: PreTrainedTokenizerBase,
    embeddings: int | None,
) -> None:
    """Cuts an added text into examples as the corpus was; again if its files have changed.

    Raises:
        DataError: nothing can be read, or there is no text.
        ModelError: a token has none of the model's `embeddings`.
    """
    folder, marks = part.examples.parent, _marks(part.source)
    if part.examples.exists() and (not marks or read_json(folder / "source.json") == marks):
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    added = {"source": "local", "path": part.source, "limit": 0, "split": ""}
    data = settings.data.model_copy(update=added)
    reading = ReadCounts(strict=data.strict, warn=events.warning)
    documents = folder / "documents.parquet"
    ids = write_documents(documents, data, settings.run.seed, reading, events)
    examples = ExampleBuilder(tokenizer, data, ids, embeddings)
    write_json(folder / "source.json", marks)
    rows = examples.rows(documents, reading, events)
    write_examples(part.examples, rows, examples.with_turns)
    reading.warn_of_losses()
    documents.unlink()


def forget_others(settings: Settings, run: RunDir) -> None:
    """Removes what was added once and is not named any more."""
    wanted = {_part(run, source).examples.parent for source in settings.index.added}
    for folder in run.added("").glob("*"):
        if folder not in wanted:
            shutil.rmtree(folder)


def _part(run: RunDir, source: str) -> Part:
    name = hashlib.blake2b(source.encode(), digest_size=8).hexdigest()
    folder = run.added(name)
    return Part(folder / "examples.parquet", folder / "features", source)


def _marks(source: str) -> dict[str, list[int]]:
    return {name: list(mark) for name, mark in file_marks(source).items()}
