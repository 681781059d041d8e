"""Published partitions: whole or computed again, whoever is killed in between."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from pipeline.contract.run.checksums import file_sum
from pipeline.contract.run.processes import ProcessIdentity
from pipeline.influence.passes import Pass
from pipeline.sharing.part_folder import PartFolder
from pipeline.sharing.work import Part

ME = ProcessIdentity.of(os.getpid())
NAMES = ("matrix", "count")
PART = (1, 0)


def file_of(folder: Path, name: str, part: Part | None) -> Path:
    return folder / (f"{name}_{part[0]}_{part[1]}" if part else name)


def exists(output_dir: Path, partition: Part | None = None) -> bool:
    return all(file_of(output_dir, name, partition).exists() for name in NAMES)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """Where the stage keeps partitions."""
    folder = tmp_path / "saved"
    folder.mkdir()
    return folder


@pytest.fixture
def parts(tmp_path: Path, saved: Path) -> PartFolder:
    folder = tmp_path / "shared"
    folder.mkdir()
    return PartFolder(folder, Pass("a pass", saved, exists, "scores.", 4, data_partitions=2), ME)


def publish(parts: PartFolder, text: str = "numbers") -> None:
    staged = parts.stage(PART)
    for name in NAMES:
        file_of(staged, name, PART).write_text(text)
    parts.publish(staged, PART)


def test_a_published_partition_is_collected_as_it_was_written(
    parts: PartFolder, saved: Path
) -> None:
    assert parts.collect(PART) is None
    publish(parts)
    assert parts.is_done(PART)
    assert parts.take(PART) is None
    assert parts.collect(PART) is True
    assert [file_of(saved, name, PART).read_text() for name in NAMES] == ["numbers", "numbers"]
    assert parts.is_done(PART)


def test_of_two_workers_with_the_same_partition_the_first_counts(
    parts: PartFolder, saved: Path, tmp_path: Path
) -> None:
    publish(parts, "first")
    publish(parts, "second")
    assert parts.collect(PART) is True
    assert file_of(saved, "matrix", PART).read_text() == "first"
    assert [path.name for path in (tmp_path / "shared").iterdir()] == ["part_1_0"]


@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "no sums"])
def test_a_damaged_partition_is_removed_and_free_again(
    parts: PartFolder, saved: Path, tmp_path: Path, damage: str
) -> None:
    publish(parts)
    published = tmp_path / "shared" / "part_1_0"
    file = file_of(published, "matrix", PART)
    match damage:
        case "cut":
            file.write_text("numb")
        case "changed":
            file.write_text("numbfrs")
        case "gone":
            file.unlink()
        case "no sums":
            (published / "files.json").write_text("{")
    assert parts.collect(PART) is False
    assert not published.exists()
    assert not parts.is_done(PART)
    lease = parts.take(PART)
    assert lease
    lease.give_back()
    publish(parts, "again")
    assert parts.collect(PART) is True
    assert file_of(saved, "matrix", PART).read_text() == "again"


@pytest.mark.parametrize("name", ["../victim", "..", ".", "", "sub/victim"])
def test_a_partition_that_names_a_file_elsewhere_moves_nothing(
    parts: PartFolder, saved: Path, tmp_path: Path, name: str
) -> None:
    """Whoever made the run may have written it, with checksums that are right."""
    publish(parts)
    published = tmp_path / "shared" / "part_1_0"
    (tmp_path / "shared" / "victim").write_text("planted")
    (published / "sub").mkdir()
    (published / "sub" / "victim").write_text("planted")
    sums = json.loads((published / "files.json").read_text())
    victim = published / name
    sums[name] = asdict(file_sum(victim)) if victim.is_file() else next(iter(sums.values()))
    (published / "files.json").write_text(json.dumps(sums))
    assert parts.collect(PART) is False
    assert not (tmp_path / "victim").exists()
    assert not list(saved.iterdir())


@pytest.mark.parametrize("sums", ["7", "[]", '{"matrix_1_0": 7}', '{"matrix_1_0": {"size": "x"}}'])
def test_checksums_that_are_none_are_damage(parts: PartFolder, tmp_path: Path, sums: str) -> None:
    publish(parts)
    (tmp_path / "shared" / "part_1_0" / "files.json").write_text(sums)
    assert parts.collect(PART) is False


def test_a_stage_that_was_killed_while_it_collected_goes_on(
    parts: PartFolder, saved: Path, tmp_path: Path
) -> None:
    publish(parts)
    moved = file_of(tmp_path / "shared" / "part_1_0", "matrix", PART)
    moved.rename(saved / moved.name)
    assert parts.collect(PART) is True


def test_where_the_stage_has_ended_nothing_is_published(parts: PartFolder, tmp_path: Path) -> None:
    staged = parts.stage(PART)
    file_of(staged, "matrix", PART).write_text("numbers")
    (tmp_path / "shared").rename(tmp_path / "gone")
    with pytest.raises(FileNotFoundError):
        parts.publish(staged, PART)
    assert not (tmp_path / "shared").exists()
