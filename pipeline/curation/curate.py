"""Decides which rows of the training data go, and writes both parts in the source's own columns."""

from __future__ import annotations

import datetime
import json
import math
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import IO, Any

from pipeline.contract.errors import DataError, UsageError, disk_errors_explained
from pipeline.contract.files import sync_below, write_json
from pipeline.contract.results.curation import (
    REASON,
    Curation,
    CurationPreview,
    CurationRequest,
    PreviewedRow,
    Reason,
)
from pipeline.contract.results.examples import read_document_ids
from pipeline.contract.results.lookup import Corpus
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.schema import DataSettings, Settings
from pipeline.corpus.readers import source_rows
from pipeline.corpus.rows import Row
from pipeline.curation.standing import (
    Ranked,
    RowKey,
    Standing,
    nearest_prompts,
    ranked,
    standings,
)

_PREVIEWED, _EXCERPT = 1000, 400
"""Rows of a preview, and bytes of each one's text."""
_STEP = 20_000
"""Rows between two words on how many were read."""


@dataclass(frozen=True)
class _Choice:
    """Which rows go, and why."""

    reasons: Mapping[RowKey, Reason]
    near_duplicates: frozenset[RowKey]
    """Rows that stay though they are near-duplicates of one that goes."""


def preview(request: CurationRequest) -> CurationPreview:
    """Tells which rows would go, and why.

    Raises:
        UsageError, MissingResultError, DamagedResultError: see `curate`.
    """
    run = RunDir(Path(request.run_folder))
    found = ranked(run, request)
    rows = standings(run, found.scores)
    choice, corpus = _chosen(request, found, rows), Corpus(run)
    first = islice(choice.reasons.items(), _PREVIEWED)
    return CurationPreview(
        ranked_for=_asked(request, found),
        prompts=found.prompts,
        left_out=found.left_out,
        method=found.method,
        methods=found.file.metadata.methods,
        trained=len(rows),
        dropped=len(choice.reasons),
        near_duplicates=len(choice.near_duplicates),
        rows=tuple(
            PreviewedRow(**asdict(reason), text=corpus.text(rows[key].position, _EXCERPT))
            for key, reason in first
        ),
    )


def curate(request: CurationRequest, told: Callable[[int], None] = lambda count: None) -> Curation:
    """Writes the folder that is asked for, whole or not at all; `told` hears how many rows of the
    data were read.

    Raises:
        UsageError: a request that makes no sense, or something is at `out` already.
        MissingResultError: there are no scores for it that are up to date.
        DamagedResultError: a file is not what its stage writes.
        DataError: the source cannot be read, is not what was trained on, or cannot be JSON.
    """
    run = RunDir(Path(request.run_folder))
    settings = load_settings(run.settings)
    out = Path(request.out).absolute()
    _refuse_place(out, settings.data)
    found = ranked(run, request)
    rows = standings(run, found.scores)
    choice = _chosen(request, found, rows)
    with disk_errors_explained(out), _made_whole(out) as folder:
        counted, unreadable = _write(folder, settings, choice, rows, told)
        made = Curation(
            run_name=run.name,
            ranked_for=_asked(request, found),
            prompts=found.prompts,
            left_out=found.left_out,
            method=found.method,
            rows=counted,
            unreadable=unreadable,
            trained=len(rows),
            kept=counted - len(choice.reasons),
            dropped=len(choice.reasons),
            near_duplicates=len(choice.near_duplicates),
            out=str(out),
        )
        if held_out := read_document_ids(run, run.validation):
            write_json(folder / made.held_out_file.name, list(dict.fromkeys(held_out)))
        write_json(folder / made.record_file.name, asdict(made))
    return made


def _refuse_place(out: Path, data: DataSettings) -> None:
    if out.exists() or out.is_symlink():
        raise UsageError(f"there is something at {out} already", "name a folder that is not there")
    source = Path(data.path).absolute() if data.source == "local" else None
    if source and out.is_relative_to(source):
        hint = "the next run on that folder would read both parts; name one outside of it"
        raise UsageError(f"{out} lies in the folder of the training data, {source}", hint)


def _asked(request: CurationRequest, found: Ranked) -> str:
    if request.of_set:
        return f"the prompts of set {request.of_set}"
    count = len(found.prompts)
    return f"prompt {found.prompts[0]}" if count == 1 else f"{count:,} prompts"


def _chosen(request: CurationRequest, found: Ranked, rows: Mapping[RowKey, Standing]) -> _Choice:
    dropped = _dropped(request, rows)
    groups = {group: rows[key] for key in reversed(dropped) for group in rows[key].groups}
    alike = [
        key for key, row in rows.items() if key not in set(dropped) and row.groups & groups.keys()
    ]
    going = [*dropped, *alike] if request.near_duplicates else dropped
    if len(going) == len(rows):
        hint = "drop fewer rows, or keep a larger share"
        raise UsageError(f"nothing would stay of the {len(rows):,} rows trained on", hint)
    nearest = nearest_prompts(found, [rows[key].position for key in going])
    reasons = {}
    for key in going:
        row = rows[key]
        first = None if key in dropped else groups[min(row.groups & groups.keys())]
        reasons[key] = Reason(
            because=_because(request, found, row, first, len(rows)),
            rank=row.rank,
            score=row.score,
            example=row.example,
            prompt=nearest[row.position],
            group=min(row.groups, default=None),
        )
    return _Choice(reasons, frozenset() if request.near_duplicates else frozenset(alike))


def _dropped(request: CurationRequest, rows: Mapping[RowKey, Standing]) -> list[RowKey]:
    """Rows that their rank makes go, highest first."""
    in_order = list(rows)
    if request.keep is not None:
        return in_order[math.ceil(request.keep * len(in_order)) :]
    scored = [key for key in in_order if rows[key].rank is not None]
    wanted = request.drop or 0
    if wanted > len(scored):
        raise UsageError(f"{wanted:,} rows cannot be dropped: only {len(scored):,} have a score")
    return scored[:wanted]


def _because(
    request: CurationRequest, found: Ranked, row: Standing, first: Standing | None, of: int
) -> str:
    ranking = f"for {_asked(request, found)} by {found.method}"
    if first is not None:
        return f"a near-duplicate of {first.example}, rank {first.rank} {ranking}"
    if row.rank is None:
        return f"no score {ranking}"
    place = f"rank {row.rank:,} of {of:,} {ranking}"
    return place if request.keep is None else f"{place}, below the best {100 * request.keep:.6g}%"


@contextmanager
def _made_whole(out: Path) -> Iterator[Path]:
    """A folder that gets its name once everything is in it."""
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = out.with_name(f".{out.name}.{secrets.token_hex(4)}")
    folder.mkdir()
    try:
        yield folder
        sync_below(folder)
        folder.rename(out)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write(
    folder: Path,
    settings: Settings,
    choice: _Choice,
    trained: Mapping[RowKey, Standing],
    told: Callable[[int], None],
) -> tuple[int, int]:
    """Writes the parts; gives how many rows of the source could be read, and could not."""
    unread, going, count = set(trained), dict[RowKey, str](), 0
    unreadable = 0
    with (
        (folder / "kept.jsonl").open("w", encoding="utf-8") as kept,
        (folder / "near_duplicates.jsonl").open("w", encoding="utf-8") as alike,
    ):
        for row in source_rows(settings.data, settings.run.seed):
            if row.fault:  # it was left out of the corpus too, and cannot be written
                unreadable += 1
                continue
            key = (row.source, row.number)
            unread.discard(key)
            count += 1
            if count % _STEP == 0:
                told(count)
            if reason := choice.reasons.get(key):
                going[key] = _line(row, {REASON: asdict(reason)})
            else:
                kept.write(_line(row))
            if key in choice.near_duplicates:
                alike.write(_line(row))
    if unread:
        source, number = min(unread)
        hint = "put the data back as they were, or prepare, train and score them again"
        raise DataError(f"the data have changed: {source} has no row {number} any more", hint)
    _write_dropped(folder, [going[key] for key in choice.reasons])
    if not choice.near_duplicates:
        (folder / "near_duplicates.jsonl").unlink()
    return count, unreadable


def _write_dropped(folder: Path, lines: list[str]) -> None:
    file: IO[str]
    with (folder / "dropped.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(lines)


def _line(row: Row, more: Mapping[str, Any] | None = None) -> str:
    """A row as JSON, in the columns of its source.

    Raises:
        DataError: a cell is nothing that JSON has.
    """
    cells = {**row.cells, **(more or {})}
    try:
        return json.dumps(cells, ensure_ascii=False, default=_plain) + "\n"
    except (TypeError, ValueError) as error:
        hint = "leave that column out of the data"
        raise DataError(
            f"{row.location}: a cell cannot be written as JSON: {error}", hint
        ) from error


def _plain(value: object) -> str:
    """Dates and decimals as text."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    raise TypeError(f"it is of type {type(value).__name__}")
