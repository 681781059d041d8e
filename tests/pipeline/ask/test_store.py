"""The feature store: what it keeps, and what it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from pipeline.ask.store import FeatureStore
from pipeline.contract.errors import MissingResultError

FEATURES = 32


def features(rows: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(rows, FEATURES, generator=torch.Generator().manual_seed(seed))


def add(store: FeatureStore, rows: torch.Tensor) -> None:
    store.append(rows, rows.square().sum(dim=1))


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    store = FeatureStore(tmp_path, "of these factors", FEATURES)
    add(store, features(5, 1))
    add(store, features(3, 2))
    return store


def test_a_scan_gives_the_dot_products_to_half_precision(store: FeatureStore) -> None:
    query = 1e3 * features(1, 3)[0]
    cosines, lengths = store.scan(query)
    rows = torch.cat([features(5, 1), features(3, 2)])
    # a row, the query and their product are each rounded to half precision
    tolerance = 3 * torch.finfo(torch.half).eps * (rows.abs() @ query.abs())
    off = torch.from_numpy(cosines * lengths) * query.norm() - rows @ query
    assert (off.abs() < tolerance).all()


def test_self_influence_is_kept_as_it_was_given(store: FeatureStore) -> None:
    given = [features(rows, seed).square().sum(dim=1) for rows, seed in ((5, 1), (3, 2))]
    assert store.self_influence().tolist() == torch.cat(given).tolist()


def test_an_index_that_lacks_examples_says_so(store: FeatureStore) -> None:
    with pytest.raises(MissingResultError, match="holds 8 of 9 examples"):
        store.verify(9)


def test_rows_of_any_size_survive_half_precision(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, "x", FEATURES)
    add(store, torch.stack([1e8 * features(1)[0], 1e-8 * features(1)[0], torch.zeros(FEATURES)]))
    cosines, lengths = store.scan(features(1)[0])
    assert cosines == pytest.approx([1, 1, 0], abs=2e-3)
    assert lengths[0] / lengths[1] == pytest.approx(1e16, rel=1e-3)


def test_appending_touches_no_earlier_chunk(store: FeatureStore, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.npy")}
    add(FeatureStore(tmp_path, "of these factors", FEATURES), features(2, 4))
    again = FeatureStore(tmp_path, "of these factors", FEATURES)
    assert again.rows == 10
    assert all(path.stat().st_mtime_ns == then for path, then in before.items())
    again.verify(10)


def test_features_of_other_factors_are_not_taken_for_these(
    store: FeatureStore, tmp_path: Path
) -> None:
    assert FeatureStore(tmp_path, "of others", FEATURES).rows == 0
    assert FeatureStore(tmp_path, "of these factors", 2 * FEATURES).rows == 0


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_chunk_is_said_not_scanned(
    store: FeatureStore, tmp_path: Path, damage: str
) -> None:
    chunk = tmp_path / "chunk_00001.npy"
    if damage == "flip":
        content = bytearray(chunk.read_bytes())
        content[-1] ^= 1
        chunk.write_bytes(content)
    elif damage == "cut":
        chunk.write_bytes(chunk.read_bytes()[:-10])
    else:
        chunk.unlink()
    with pytest.raises(MissingResultError, match=r"chunk_00001\.npy is damaged"):
        store.verify(8)
