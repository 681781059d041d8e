"""Chooses the files of a folder that belong to the corpus, and says what is left out, and why."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.contract.errors import DataError
from pipeline.contract.files import printable, read_json
from pipeline.contract.wording import listed
from pipeline.corpus.file_format import KNOWN, claimed_kind, detect_format, is_packed

_SPLITS = {
    "train": ("train", "training"),
    "test": ("test", "testing"),
    "validation": ("validation", "valid", "val", "dev", "development"),
}
_ALIASES = {alias: name for name, aliases in _SPLITS.items() for alias in aliases}
_SHARD = re.compile(r"([a-z]+)([-_. ]?(part|shard)?[-_. ]?\d+([-_]of[-_]\d+)?)?")
"""A split's name, alone or with a part's number: "train", "test-00000-of-00002"."""
_CACHED = re.compile(r".+?-([A-Za-z]\w*)(-\d+-of-\d+)?")
_ABOUT = re.compile(
    r"(licen[cs]e|copying|notice|readme|changelog|changes|authors|citation|contributing)s?"
    r"([-_.].*)?",
    re.IGNORECASE,
)
"""Names of files that come along with data and are no documents."""
_SAVED = "state.json"
_INFO = "dataset_info.json"
_DICTIONARY = "dataset_dict.json"


@dataclass
class Selection:
    """The files to read, in name order, and a sentence for each kind of what is left out."""

    files: list[Path]
    left_out: list[str] = field(default_factory=list)


def select(path: Path, split: str) -> Selection:
    """The corpus files at a path: the file itself, or those of a folder that belong to `split`.

    Of a folder that `Dataset.save_to_disk` wrote, the files that its state.json names. Of splits,
    folders or files that are called train, test, validation (or the usual short forms), the one
    asked for; an empty `split` takes all. Hidden files, files about the data (LICENSE, README …)
    and files of other formats are left out.

    Raises:
        DataError: the path does not exist, or has no file of a known format or of the split.
    """
    if not path.exists():
        raise DataError(f"data.path: there is no file or folder {printable(path)}")
    if path.is_file():
        if not claimed_kind(path) and not is_packed(path):
            raise DataError(
                f"{printable(path)}: unknown format {path.suffix!r}; known: {KNOWN}, also packed "
                "by gzip, bzip2, xz or zstd"
            )
        return Selection([path])
    selection = _visible(path)
    passed = _without_saved_leftovers(selection)
    _without_other_formats(selection, path, passed)
    _without_texts_about_data(selection)
    _without_other_splits(selection, path, split)
    return selection


def _visible(folder: Path) -> Selection:
    """The files that are not hidden; what cannot be looked into is left out and told."""
    files: list[Path] = []
    links: list[Path] = []
    odd: list[Path] = []
    closed: list[OSError] = []
    for root, folders, names in os.walk(folder, onerror=closed.append):
        here = Path(root)
        folders[:] = [name for name in folders if not name.startswith(".")]
        links += [here / name for name in folders if (here / name).is_symlink()]
        found = [here / name for name in names if not name.startswith(".")]
        files += [file for file in found if file.is_file()]
        odd += [file for file in found if not file.is_file()]
    left_out = [
        (links, "linked folder", "not followed: copy them, or name one in data.path"),
        ([Path(os.fsdecode(error.filename)) for error in closed], "folder", "not to be opened"),
        (odd, "file", "that is none, as a pipe or a link to nothing"),
    ]
    return Selection(
        sorted(files),
        [
            f"{_counted(paths, what)} {why}: {_names(paths)}"
            for paths, what, why in left_out
            if paths
        ],
    )


def _without_saved_leftovers(selection: Selection) -> set[Path]:
    """Of saved datasets only the files that belong to them; gives the files that describe them."""
    folders = {file.parent for file in selection.files if file.name == _SAVED}
    named = {folder: _saved_files(folder / _SAVED) for folder in folders}
    left = [
        file
        for file in selection.files
        if file.suffix == ".arrow" and file.name not in named.get(file.parent, {file.name})
    ]
    loose = [
        file
        for file in selection.files
        if file.parent not in folders and re.fullmatch(r"(cache|tmp)[-\w]*\.arrow", file.name)
    ]
    if drop := {*left, *loose}:
        selection.left_out.append(
            f"{_counted(drop, 'file')} that `datasets` keeps beside its data (caches of map, "
            f"filter or shuffle): {_names(drop)}"
        )
    selection.files = [file for file in selection.files if file not in drop]
    about = (_INFO, _SAVED, _DICTIONARY)
    return {file for file in selection.files if file.name in about}


def _saved_files(state: Path) -> set[str]:
    """The files that a saved dataset consists of.

    Raises:
        DataError: state.json does not name them, or one is missing.
    """
    value: Any = read_json(state)
    try:
        names = {str(entry["filename"]) for entry in value["_data_files"]}
    except (KeyError, TypeError) as error:
        raise DataError(f"{printable(state)} does not name the files of its dataset") from error
    if missing := sorted(name for name in names if not (state.parent / name).is_file()):
        raise DataError(
            f"{printable(state)} names files that are not there: {listed(missing)}",
            "copy the whole folder again",
        )
    return names


def _without_other_formats(selection: Selection, folder: Path, passed: set[Path]) -> None:
    kept = [file for file in selection.files if file not in passed and _is_readable(file)]
    others = Counter(
        printable(file.suffix or file.name)
        for file in selection.files
        if file not in passed and file not in set(kept)
    )
    listing = ", ".join(f"{count} × {suffix}" for suffix, count in others.most_common(5))
    if not kept:
        empty = "; ".join(selection.left_out) or "it is empty"
        there = f"there are: {listing}" if listing else empty
        raise DataError(f"{printable(folder)} holds no file of a known format ({KNOWN}); {there}")
    if listing:
        selection.left_out.append(f"files of other formats: {listing}")
    selection.files = kept


def _is_readable(file: Path) -> bool:
    claimed = claimed_kind(file)
    if claimed == "array" or (not claimed and is_packed(file)):
        detected = detect_format(file)  # a .json file may hold anything
        return bool(detected.kind) or bool(detected.fault)
    return bool(claimed)


def _without_texts_about_data(selection: Selection) -> None:
    about = {
        file
        for file in selection.files
        if claimed_kind(file) in ("txt", "array") and _ABOUT.fullmatch(file.stem)
    }
    if about and len(about) < len(selection.files):
        selection.left_out.append(f"{_counted(about, 'file')} about the data: {_names(about)}")
        selection.files = [file for file in selection.files if file not in about]


def _without_other_splits(selection: Selection, folder: Path, split: str) -> None:
    if not split:
        return
    of_file = {file: _split_of(file, folder) for file in selection.files}
    splits = sorted(set(filter(None, of_file.values())))
    asked, cut, _ = split.partition("[")
    if splits and cut:
        raise DataError(
            f"data.split = {split!r}: parts of a split are for datasets on the hub",
            "name the split alone; data.limit takes its first rows",
        )
    wanted = _ALIASES.get(asked.lower(), asked)
    kept = [file for file, name in of_file.items() if name in ("", wanted)]
    if not kept:
        raise DataError(
            f"{printable(folder)} has no split {wanted!r}; there are: {', '.join(splits)}",
            f'data.split names the one to read, e.g. "{splits[0]}"; "" reads all',
        )
    if len(kept) < len(selection.files):
        selection.left_out.append(
            f"{_counted(set(selection.files) - set(kept), 'file')} of other splits than "
            f"{wanted!r} (data.split): {', '.join(s for s in splits if s != wanted)}"
        )
        selection.files = kept


def _split_of(file: Path, folder: Path) -> str:
    """The split that a file belongs to by its name, its folder's, or a saved dictionary's."""
    relative = file.relative_to(folder)
    root = folder
    for part in relative.parts[:-1]:
        if (root / _DICTIONARY).is_file():
            return _ALIASES.get(part.lower(), part)
        root /= part
    saved = (file.parent / _SAVED).is_file()
    if file.suffix == ".arrow" and not saved and (file.parent / _INFO).is_file():
        cached = _CACHED.fullmatch(file.stem)  # in the cache of `datasets`: <name>-<split>.arrow
        return _ALIASES.get(cached[1], cached[1]) if cached else ""
    for name in (_stem(file), *reversed(relative.parts[:-1])):
        match = _SHARD.fullmatch(name.lower())
        if match and match[1] in _ALIASES:
            return _ALIASES[match[1]]
    return ""


def _stem(file: Path) -> str:
    """The name without the suffixes of format and compression."""
    stem = Path(file.stem) if is_packed(file) else file
    return stem.stem


def _counted(files: Sequence[Path] | set[Path], what: str) -> str:
    return f"{len(files):,} {what}{'s' if len(files) != 1 else ''}"


def _names(files: Iterable[Path]) -> str:
    return listed(sorted(printable(file.name) for file in files), most=3)
