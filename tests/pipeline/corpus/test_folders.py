"""Which files of a folder are the corpus, and what is said of the others."""

from __future__ import annotations

import json
import os
from pathlib import Path

import datasets
import pyarrow as pa
import pytest

from pipeline.contract.errors import DataError
from pipeline.corpus.files import file_rows
from pipeline.corpus.folders import select

TEXTS = [f"text {number}" for number in range(20)]


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A saved dictionary of two splits, with the caches of a map and of a shuffle."""
    datasets.disable_progress_bars()
    parts = {"train": TEXTS[:15], "test": TEXTS[15:]}
    whole = {name: datasets.Dataset.from_dict({"text": part}) for name, part in parts.items()}
    datasets.DatasetDict(whole).save_to_disk(tmp_path / "saved")
    train = datasets.load_from_disk(tmp_path / "saved")["train"]
    train.map(lambda row: {"text": row["text"].upper()})
    train.shuffle(seed=1)
    assert list((tmp_path / "saved").rglob("cache-*.arrow"))
    return tmp_path / "saved"


def texts(path: Path, split: str = "train") -> list[object]:
    return [r.cells["text"] for r in file_rows(path, ("text",), lambda message: None, split=split)]


def write(folder: Path, *names: str) -> None:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        is_text = file.suffix.lower() == ".txt"
        file.write_text(name if is_text else json.dumps({"text": name}))


def test_a_saved_dataset_gives_the_split_that_is_asked_for(saved: Path) -> None:
    assert texts(saved) == TEXTS[:15]
    assert texts(saved, "test") == TEXTS[15:]
    assert texts(saved / "test") == TEXTS[15:]
    assert texts(saved, "") == TEXTS[15:] + TEXTS[:15]
    told = select(saved, "train").left_out
    assert "caches of map" in told[0]
    assert told[1] == "1 file of other splits than 'train' (data.split): test"
    with pytest.raises(DataError, match="has no split 'unseen'; there are: test, train"):
        texts(saved, "unseen")


def test_a_saved_dataset_of_one_split_leaves_its_caches_out(tmp_path: Path) -> None:
    datasets.disable_progress_bars()
    datasets.Dataset.from_dict({"text": TEXTS}).save_to_disk(tmp_path / "one")
    datasets.load_from_disk(tmp_path / "one").filter(lambda row: row["text"] < "text 15")
    assert list((tmp_path / "one").glob("cache-*.arrow"))
    assert texts(tmp_path / "one") == TEXTS


def test_the_cache_of_a_dataset_gives_the_split_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "dataset_info.json").write_text("{}")
    parts = {"books-train-00000-of-00002": 0, "books-train-00001-of-00002": 5, "books-test": 10}
    for name, first in {**parts, "cache-4d": 15}.items():
        table = pa.table({"text": TEXTS[first : first + 5]})
        with pa.ipc.new_stream(tmp_path / f"{name}.arrow", table.schema) as writer:
            writer.write_table(table)
    assert texts(tmp_path) == TEXTS[:10]
    assert texts(tmp_path, "test") == TEXTS[10:15]


def test_a_saved_dataset_that_lacks_a_file_is_refused(saved: Path) -> None:
    next((saved / "train").glob("data-*.arrow")).unlink()
    with pytest.raises(DataError, match="names files that are not there: data-00000"):
        texts(saved)


@pytest.mark.parametrize(
    "names",
    [
        ("train.jsonl", "test.jsonl", "validation.jsonl"),
        ("data/train-00000-of-00001.jsonl", "data/test-00000-of-00001.jsonl"),
        ("Train/a.JSONL", "dev/b.jsonl"),
        ("training_0.json", "val_0.json", "valid1.jsonl"),
    ],
)
def test_of_files_named_by_splits_only_those_of_the_wanted_one_are_read(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    write(tmp_path, *names)
    for file in tmp_path.glob("*.json"):
        file.write_text(f"[{file.read_text()}]")
    assert [str(t).lower()[:5] for t in texts(tmp_path)] in (["train"], ["data/"])
    assert len(texts(tmp_path, "")) == len(names)
    assert len(select(tmp_path, "train").left_out) == 1


def test_files_of_no_split_are_read_beside_the_wanted_one(tmp_path: Path) -> None:
    write(tmp_path, "train.txt", "test.txt", "train_travel.txt", "contest.txt", "test_results.txt")
    assert texts(tmp_path) == ["contest.txt", "test_results.txt", "train.txt", "train_travel.txt"]


def test_a_split_that_no_file_has_is_refused_with_those_there_are(tmp_path: Path) -> None:
    write(tmp_path, "test.jsonl", "dev.jsonl")
    with pytest.raises(DataError, match="no split 'train'; there are: test, validation"):
        texts(tmp_path)
    with pytest.raises(DataError, match="parts of a split are for datasets on the hub"):
        texts(tmp_path, "test[:10%]")


def test_texts_about_the_data_are_left_out_and_named(tmp_path: Path) -> None:
    write(
        tmp_path,
        "poem.txt",
        "LICENSE.txt",
        "readme.TXT",
        "sub/COPYING.txt",
        "license-mit.txt",
        "notices of birth.txt",
    )
    assert texts(tmp_path) == ["notices of birth.txt", "poem.txt"]
    assert "4 files about the data: COPYING.txt, LICENSE.txt" in select(tmp_path, "").left_out[0]
    assert texts(tmp_path / "LICENSE.txt") == ["LICENSE.txt"]


@pytest.mark.parametrize("name", ["A.JSONL", "A.Csv", "A.TXT", "A.Json"])
def test_the_case_of_a_suffix_does_not_matter(tmp_path: Path, name: str) -> None:
    content = {"A.JSONL": '{"text": "x"}', "A.Csv": "text\nx\n", "A.TXT": "x"}
    (tmp_path / name).write_text(content.get(name, '[{"text": "x"}]'))
    assert texts(tmp_path) == texts(tmp_path / name) == ["x"]


def test_names_that_are_no_utf8_are_read_or_passed_over_like_others(tmp_path: Path) -> None:
    for raw in (b"caf\xe9.jsonl", b"\xff.docx", b"\xfe/x\xff.tmp"):
        file = Path(tmp_path, raw.decode("utf-8", "surrogateescape"))
        file.parent.mkdir(exist_ok=True)
        file.write_text('{"text": "x"}')
    (row,) = file_rows(tmp_path, ("text",), lambda message: None)
    assert row.cells["text"] == "x"
    assert row.source.endswith("caf\ufffd.jsonl")
    assert all(told.encode() for told in select(tmp_path, "train").left_out)


def test_what_cannot_be_looked_into_is_counted_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "data", "a.txt", "locked/b.txt")
    write(tmp_path / "elsewhere", "c.txt")
    (tmp_path / "data/linked").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "data/self").symlink_to(tmp_path / "data")
    (tmp_path / "data/broken.txt").symlink_to(tmp_path / "nowhere")
    (tmp_path / "data/d.txt").symlink_to(tmp_path / "elsewhere/c.txt")
    os.mkfifo(tmp_path / "data/pipe.txt")
    scandir = os.scandir

    def locked(path: str) -> object:
        if str(path).endswith("locked"):  # root may look into any folder
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", locked)
    selection = select(tmp_path / "data", "")
    assert [file.name for file in selection.files] == ["a.txt", "d.txt"]
    linked, closed, odd = selection.left_out
    assert linked.startswith("2 linked folders not followed")
    assert linked.endswith("linked, self")
    assert closed == "1 folder not to be opened: locked"
    assert odd.startswith("2 files that")
    assert odd.endswith("broken.txt, pipe.txt")


def test_a_folder_of_nothing_but_links_is_not_called_empty(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/linked").symlink_to(tmp_path)
    with pytest.raises(DataError, match="1 linked folder not followed"):
        select(tmp_path / "data", "")
