"""Training data sorted by their influence on some prompts: which rows stay and which go.

A folder outside of the run: `kept.jsonl` and `dropped.jsonl` in the columns of the source, where
there are any `near_duplicates.jsonl` and `held_out.json`, and `curation.json`, which says how they
came about.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.contract.errors import DamagedResultError
from pipeline.contract.files import read_text

_KEPT, _RECORD, _HELD_OUT = "kept.jsonl", "curation.json", "held_out.json"
REASON = "headwater"
"""The key under which a row of `dropped.jsonl` says why it is there; see `Reason`."""


@dataclass(frozen=True)
class CurationRequest:
    """What is asked of the training data of a run."""

    run_folder: str
    out: str = ""
    """The folder to make; empty: nothing is written, what would go is only told."""
    of_set: str = ""
    """The prompts of one set; or else `prompts`."""
    prompts: tuple[str, ...] = ()
    """Ids of prompts that the run has scored."""
    method: str = ""
    """Ranks the examples; empty: the run's default."""
    drop: int | None = None
    """So many rows go, those with the highest scores; or else `keep`."""
    keep: float | None = None
    """This share of the rows stays, those with the highest scores."""
    near_duplicates: bool = False
    """Whether near-duplicates of what goes go too."""


@dataclass(frozen=True)
class Reason:
    """Why a row goes."""

    because: str
    """A sentence."""
    rank: int | None
    """1 = highest score among the rows that were trained on; None: it has no score."""
    score: float | None
    """Of its highest example. For one prompt what `headwater rank` tells; for several, or a set,
    the mean of each prompt's scores divided by their root mean square, as `rank --set` tells."""
    example: str
    """The id of that example."""
    prompt: str
    """The prompt that it has the most influence on, each by its own scale."""
    group: int | None
    """Its near-duplicate group; None: it has no near-duplicate."""


@dataclass(frozen=True)
class Curation:
    """What was made."""

    run_name: str
    ranked_for: str
    """`the prompts of set rivers`, or `3 prompts`."""
    prompts: tuple[str, ...]
    left_out: tuple[str, ...]
    """Prompts without scores."""
    method: str
    rows: int
    """Rows of the source that could be read."""
    unreadable: int
    """Rows that could not, and that no corpus had: they are in neither part."""
    trained: int
    """Those of them that the model was trained on: the others all stay."""
    kept: int
    dropped: int
    near_duplicates: int
    """Rows that stay though they are near-duplicates of one that goes."""
    out: str

    @property
    def kept_file(self) -> Path:
        """The rows that stay, in the source's order."""
        return Path(self.out) / _KEPT

    @property
    def dropped_file(self) -> Path:
        """The rows that go, the first of the ranking first."""
        return Path(self.out) / "dropped.jsonl"

    @property
    def near_duplicates_file(self) -> Path:
        """Rows that stay though they are near-duplicates of one that goes."""
        return Path(self.out) / "near_duplicates.jsonl"

    @property
    def held_out_file(self) -> Path:
        """Ids of the documents that the run held out from training: they are held out again by a
        run on what stays, so that losses before and after are of the same texts. There is none
        where none were held out."""
        return Path(self.out) / _HELD_OUT

    @property
    def record_file(self) -> Path:
        """This, as JSON."""
        return Path(self.out) / _RECORD


@dataclass(frozen=True)
class PreviewedRow(Reason):
    """A row that would go."""

    text: str
    """The beginning of its highest example."""


@dataclass(frozen=True)
class CurationPreview:
    """What a curation would do; the data themselves are not read for it."""

    ranked_for: str
    prompts: tuple[str, ...]
    left_out: tuple[str, ...]
    """Prompts without scores."""
    method: str
    methods: tuple[str, ...]
    """All that there are."""
    trained: int
    """Rows that the model was trained on: the others all stay."""
    dropped: int
    near_duplicates: int
    """Rows that would stay though they are near-duplicates of one that goes."""
    rows: tuple[PreviewedRow, ...]
    """The first that would go, in the order of `dropped.jsonl`."""


def preview_of(value: dict[str, Any]) -> CurationPreview:
    """A preview read back from JSON."""
    rows = tuple(PreviewedRow(**row) for row in value["rows"])
    tuples = {name: tuple(value[name]) for name in ("prompts", "left_out", "methods")}
    return CurationPreview(**{**value, **tuples, "rows": rows})


def curation_request_of(value: dict[str, Any]) -> CurationRequest:
    """A request read back from JSON."""
    return CurationRequest(**{**value, "prompts": tuple(value["prompts"])})


def curation_of(value: dict[str, Any]) -> Curation:
    """A record read back from JSON."""
    tuples = {name: tuple(value[name]) for name in ("prompts", "left_out")}
    return Curation(**{**value, **tuples})


def curation_behind(data: Path) -> Curation | None:
    """How a file of data came about, where it is the `kept.jsonl` of a curation; else None.

    Raises:
        DamagedResultError: the record beside it is not what `headwater curate` writes.
    """
    record = data.with_name(_RECORD)
    if data.name != _KEPT or not record.exists():
        return None
    try:
        return curation_of(json.loads(read_text(record)))
    except (OSError, ValueError, TypeError, KeyError) as error:
        hint = f"put back the file that `headwater curate` wrote, or move {data} elsewhere"
        raise DamagedResultError(f"{record} is damaged: {error}", hint) from error
