"""All examples ranked, filtered and ordered, against plain Python on the same scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pipeline.contract.results.ranks import Scores
from pipeline.contract.results.tensors import TensorFile
from pipeline.contract.run.run_dir import RunDir
from tests.tui import sample_run, sample_scores
from tui.readers.listing import Listing
from tui.readers.ranking_reader import SORTS, Sort
from tui.readers.scores import _FIRST, Ranking, Scored
from tui.readers.search import matching, told


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> Scored:
    """The scores of a sample run."""
    return Scored(sample_run.scored_run(tmp_path_factory.mktemp("runs")))


def listed(scored: Scored, query: str = "", sort: Sort = "score", reverse: bool = False) -> Listing:
    ranking = scored.ranking("home-0", "ekfac")
    mask = matching(scored.corpus, query)
    return Listing(scored.corpus, ranking, scored.relevant("home-0"), mask, sort, reverse)


def found(scored: Scored, query: str) -> list[str]:
    return [scored.corpus.example(position).id for position in listed(scored, query).positions()]


def test_a_rank_counts_those_above_and_equal_ones_before(scored: Scored) -> None:
    ranking = scored.ranking("home-0", "ekfac")
    order = ranking.order.tolist()
    assert len(order) == sample_scores.COUNT
    assert all(ranking.rank(position) == order.index(position) + 1 for position in order[:40])
    assert [scored.corpus.example(position).id for position in order[:3]] == [
        "doc-0001", "doc-0002", "doc-0003"]  # fmt: skip


def made(kind: str) -> Scores:
    """Scores of all examples: of different values, of few, and where many are missing."""
    chance = np.random.default_rng(0)
    scores = chance.standard_normal(sample_scores.COUNT).astype(np.float32)
    if kind == "few values":
        return np.round(scores)
    if kind == "many missing":
        scores[chance.random(len(scores)) < 0.3] = np.nan
    return scores


@pytest.mark.parametrize("query", ["", "quay"])
@pytest.mark.parametrize("kind", ["all different", "few values", "many missing"])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("sort", SORTS)
def test_every_order_keeps_ranks_and_finds_its_lines(
    scored: Scored, sort: Sort, reverse: bool, kind: str, query: str
) -> None:
    scores, mask = made(kind), matching(scored.corpus, query)
    listing = Listing(
        scored.corpus, Ranking("home-0", "made", scores), frozenset(), mask, sort, reverse
    )
    ranked = [p for p in range(len(scores)) if not np.isnan(scores[p])]
    ranked.sort(key=lambda position: -scores[position])
    keys: dict[Sort, Callable[[int], float]] = {
        "score": lambda _position: 0,
        "tokens": lambda position: -scored.corpus.n_tokens[position],
        "group": lambda position: scored.corpus.groups[position] % 2**32,
        "corpus": lambda position: position,
    }
    expected = sorted((p for p in ranked if mask is None or mask[p]), key=keys[sort])
    expected = expected[::-1] if reverse else expected
    lines = range(len(listing))
    assert [listing.position(line) for line in lines] == expected
    assert listing.positions().tolist() == expected
    for line in (*lines[:9], *lines[-9:]):
        assert listing.rank(line) == ranked.index(expected[line]) + 1
        assert listing.line_of_rank(listing.rank(line)) == line
        assert listing.line_of(expected[line]) == line


def test_a_listing_longer_than_what_is_put_in_order_at_once() -> None:
    assert _FIRST < sample_scores.COUNT


@pytest.mark.parametrize("sort", ["score"])
def test_lines_of_examples_and_ranks_are_found_again(scored: Scored, sort: Sort) -> None:
    listing = listed(scored, "quay", sort, reverse=True)
    for line in (0, 3, len(listing) - 1):
        assert listing.line_of(listing.position(line)) == line
    hidden = next(
        p for p in range(sample_scores.COUNT) if p not in set(listing.positions().tolist())
    )
    assert listing.line_of(hidden) is None


def test_words_are_found_within_longer_ones_in_any_case_and_all_of_them(scored: Scored) -> None:
    texts = [scored.corpus.text(position) for position in range(sample_scores.COUNT)]
    for query in ("PLAQUE", "plaq", "mara quay", "town, put"):
        words = query.casefold().replace(",", "").split()
        expected = {n for n, text in enumerate(texts) if all(w in text.casefold() for w in words)}
        assert expected
        assert set(listed(scored, query).positions().tolist()) == expected
    assert not found(scored, "zzz")
    assert len(found(scored, " ")) == sample_scores.COUNT


def test_ids_and_groups_are_filters_of_their_own(scored: Scored) -> None:
    assert sorted(found(scored, "id:doc-0008")) == ["doc-0008#0", "doc-0008#1"]
    assert sorted(found(scored, "id:0008#1")) == ["doc-0008#1"]
    assert len(found(scored, "group:3")) == 10
    assert not found(scored, "group:9999")
    assert not found(scored, "group:x")
    assert len(found(scored, "id:")) == len(found(scored, "group:")) == sample_scores.COUNT


def test_kin_are_the_other_members_of_group_and_document(scored: Scored) -> None:
    corpus = scored.corpus
    assert corpus.duplicates(7).tolist() == [n for n in range(0, 70, 7) if n != 7]
    assert corpus.duplicates(8).tolist() == []
    assert corpus.document(9).tolist() == [8, 9]
    assert corpus.example(9).document_id == "doc-0008"


def test_the_layers_parts_add_up_to_the_layers(scored: Scored) -> None:
    modules = scored.modules("home-1", "ekfac_normalized", 12)
    assert modules is not None
    assert (modules.strategy, modules.layers) == ("ekfac", [0, 1])
    assert modules.kinds == ["q_proj", "up_proj", "down_proj"]
    for layer in (0, 1):
        whole = scored.scores("home-1", f"layer {layer}")[12]
        assert modules.scores[layer].sum() == pytest.approx(whole, rel=1e-5)


def test_examples_that_state_the_answer_are_stepped_through(scored: Scored) -> None:
    listing = listed(scored)
    assert [listing.next_relevant(line, 1) for line in (0, 3, 4)] == [1, 4, None]
    assert [listing.next_relevant(line, -1) for line in (0, 3, 900)] == [None, 2, 4]


def test_a_file_that_is_no_tensors_is_told(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.stage("scores").mkdir()
    for content in (b"", b"torn", b"\xff" * 64):
        run.scores.write_bytes(content)
        with pytest.raises(ValueError, match="not a safetensors file"):
            TensorFile(run.scores)


def test_half_precision_comes_as_single(tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    values = torch.tensor([[1.5, -2.25, 1e-8], [3.0, float("nan"), 65280.0]])
    path = tmp_path / "t.safetensors"
    save_file({"b": values.bfloat16(), "h": values.half(), "f": values}, path)
    file = TensorFile(path)
    for name, kind in (("b", torch.bfloat16), ("h", torch.float16), ("f", torch.float32)):
        expected = values.to(kind).float().numpy()
        np.testing.assert_array_equal(file.floats(name, 1), expected[1])
        np.testing.assert_array_equal(file.floats(name), expected)


def test_what_stands_in_no_word_is_said_not_to_be_looked_for() -> None:
    assert told("quay ✗") == "“✗” is not looked for: it has no letter and no digit"
    assert told("quay 7") == "with “quay 7”"
    assert told("id:# group:3 –") == "“–” is not looked for: it has no letter and no digit"
