"""All examples ranked, filtered, sorted, marked: every key of the screen "Influence"."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from textual.widgets import Input

from pipeline.contract.results.scores import (
    Retrieval,
    read_scores_summary,
    write_scores_summary,
)
from pipeline.contract.results.validation import read_validation
from pipeline.contract.settings.prompts import Prompt, load_prompts, save_prompts
from tests.tui import sample_evaluation, sample_run
from tests.tui.picking import pick
from tests.tui.test_bursts import burst
from tests.tui.watching import screen_text, stands_on, until, until_shown
from tui.app import HeadwaterApp
from tui.readers.listing import Listing
from tui.readers.scores import Ranking, Scored
from tui.screens.ask import AskScreen
from tui.screens.dialogs.choice import ChoiceDialog, Choices
from tui.screens.example import ExampleScreen
from tui.screens.rankings import RankingsScreen
from tui.screens.run import RunScreen
from tui.widgets.prompt_list import PromptList
from tui.widgets.ranking_table import RankingTable

SIZES = [(80, 24), (120, 40), (200, 60)]


async def test_a_wrong_answer_is_not_what_was_traced_and_is_asked_about(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "Prompts · 6")
        await pilot.press("enter")
        await until_shown(pilot, "the model says Nyvale ✗ · traced is the answer above")
        await pilot.press("A")
        await until(pilot, lambda: isinstance(app.screen, AskScreen))
        asked = app.screen
        assert isinstance(asked, AskScreen)
        assert asked._question.completion is None, "what the model itself says is traced"
        await pilot.press("escape", "escape", "j", "A")
        await until(pilot, lambda: isinstance(app.screen, AskScreen) and app.screen is not asked)
        assert isinstance(app.screen, AskScreen)
        assert app.screen._question.completion


async def test_stars_are_explained_only_where_there_are_some(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "Prompts · 6")
        await pilot.press("enter")
        await until_shown(pilot, "★ states the answer")
        table = app.screen.query_one(RankingTable)
        assert table.listing is not None
        table.listing = Listing(table.listing.corpus, table.listing.ranking)
        assert isinstance(app.screen, RankingsScreen)
        app.screen._entitle()
        await until(pilot, lambda: "states the answer" not in screen_text(app))


@pytest.mark.parametrize("size", SIZES)
async def test_enter_goes_in_and_escape_goes_back(tmp_path: Path, size: tuple[int, int]) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=size) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "Prompts · 6")
        await until_shown(pilot, "4 of 6 answered rightly")
        await pilot.press("j", "enter")
        await until_shown(pilot, "ekfac_normalized · top · 1,500")
        assert "★ doc-0011" in screen_text(app)
        await pilot.press("j", "enter")
        await until_shown(pilot, "★ states the answer")
        assert stands_on(app, ExampleScreen)
        assert "doc-0012" in screen_text(app)
        await pilot.press("n")
        await until_shown(pilot, "3 of 1,500")
        await pilot.press("escape")
        assert stands_on(app, RankingsScreen)
        await until(pilot, lambda: app.screen.query_one(RankingTable).cursor == 2)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen.query_one(PromptList).has_focus)
        await pilot.press("escape")
        assert stands_on(app, RunScreen)


def listing_of(table: RankingTable) -> Listing:
    assert table.listing is not None
    return table.listing


async def test_the_list_of_methods_says_what_each_measures_and_how_well_it_does(
    tmp_path: Path,
) -> None:
    run = sample_run.scored_run(tmp_path)
    sample_run.finish(run, "validate")
    sample_evaluation.write_validation(run)
    known = {"ekfac_normalized": Retrieval(recall=0.8, k=5, mrr=0.95, top1=0.9)}
    write_scores_summary(run, replace(read_scores_summary(run), evaluation=known))
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "Prompts · 6")
        screen = app.screen
        assert isinstance(screen, RankingsScreen)
        await until(pilot, lambda: screen._figures is not None)
        await pilot.press("enter", "M")
        await until_shown(pilot, "Rank by")
        await until_shown(pilot, "divided by √self-influence")
        figures = {c.name: c.meaning for c in app.screen.query_one(Choices).choices}
        score = read_validation(run).datamodeling
        assert score
        lds = score.methods["ekfac_normalized"].value
        assert figures["ekfac_normalized"] == f"MRR 0.95 · recall@5 0.80 · LDS {lds:.2f}"
        assert figures["layer 0"] == "not measured here"
        await pilot.press("j")
        await until_shown(pilot, "Dot product of the gradients")
        await pilot.press("escape")
        await until_shown(pilot, "ekfac_normalized · top")


async def test_a_burst_opens_one_list_of_methods(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "Prompts · 6")
        await pilot.press("enter")
        await until_shown(pilot, "ekfac_normalized · top · 1,500")
        await burst(pilot, ["M", "M", "M", "j", "j"])
        await until(pilot, lambda: stands_on(app, ChoiceDialog))
        assert app.screen.query_one(Choices).selected.name == "gradient_cosine"
        await pilot.press("escape")
        assert stands_on(app, RankingsScreen)


async def test_methods_layers_and_ends_are_switched(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "ekfac_normalized · top")
        await pick(pilot, "identity")
        await until_shown(pilot, "identity · top")
        await pick(pilot, "layer 1")
        await until_shown(pilot, "layer 1 · top")
        await pick(pilot, "ekfac")
        await pilot.press("b")
        await until_shown(pilot, "ekfac · bottom")
        await until_shown(pilot, "▌   1,500")
        await until_shown(pilot, "-0.0999")


async def test_one_goes_to_a_rank_and_to_what_states_the_answer(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "ekfac_normalized · top · 1,500")
        await pilot.press("number_sign", *"99x")
        await until_shown(pilot, "a rank from 1 to 1,500")
        await pilot.press("backspace", "9", "enter")
        table = app.screen.query_one(RankingTable)
        await until(pilot, lambda: table.cursor == 998)
        await until_shown(pilot, "▌     999")
        assert table.has_focus
        await pilot.press("p")
        assert table.cursor == 4
        await pilot.press("p", "p", "n")
        assert table.cursor == 3
        await pilot.press("n", "n")
        assert table.cursor == 4


async def test_examples_are_sorted_by_length_group_and_corpus(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(200, 60)) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "ekfac_normalized · top · 1,500")
        table = app.screen.query_one(RankingTable)
        corpus = listing_of(table).corpus
        orders: dict[str, Callable[[int], bool]] = {
            "by tokens, top": lambda position: corpus.n_tokens[position] == corpus.n_tokens.max(),
            "by near-duplicates, top": lambda position: corpus.groups[position] == 0,
            "by place in the corpus, top": lambda position: position == 0,
            "ekfac_normalized · top": lambda position: position == 1,
        }
        for title, holds in orders.items():
            await pilot.press("o")
            await until_shown(pilot, title)
            assert table.selected is not None
            assert holds(table.selected)
        await pilot.press("o", "b")
        await until_shown(pilot, "by tokens, bottom")
        assert corpus.n_tokens[table.selected] == corpus.n_tokens.min()


async def test_a_click_on_a_column_sorts_by_it_and_again_turns_it_around(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(160, 40)) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "ekfac_normalized · top · 1,500")

        async def click(column: str) -> None:
            y, head = next(
                (y, line) for y, line in enumerate(screen_text(app).splitlines()) if "rank " in line
            )
            await pilot.click(offset=(head.index(column) + 1, y))

        for column, title, arrow in (
            ("tokens", "by tokens, top", "tokens▼"),
            ("tokens", "by tokens, bottom", "tokens▲"),
            ("near-dup.", "by near-duplicates, top", "near-dup.▼"),
            ("example", "by place in the corpus, top", "example▼"),
            ("score", "ekfac_normalized · top", "score▼"),
            ("rank", "ekfac_normalized · bottom", "score▲"),
        ):
            await click(column)
            await until_shown(pilot, title)
            await until_shown(pilot, arrow)


async def test_the_column_that_is_sorted_by_is_shown_where_room_is_short(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "Prompts · 6")
        await pilot.press("enter", "o")
        await until_shown(pilot, "tokens▼")
        assert "near-dup." not in screen_text(app).splitlines()[4]
        await pilot.press("o")
        await until_shown(pilot, "near-dup.▼")
        assert "tokens" not in screen_text(app).splitlines()[4]


async def test_the_filter_searches_the_texts(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "Prompts · 6")
        await pilot.press("enter", "slash", *"MARA quay", "enter")
        table = app.screen.query_one(RankingTable)
        await until(pilot, lambda: 0 < table.count < 1500)
        listing = listing_of(table)
        texts = [listing.corpus.text(listing.position(n)) for n in range(table.count)]
        assert all("Mara" in text and "quay" in text for text in texts)
        assert "with “MARA quay”" in screen_text(app)
        await pilot.press("slash", *["backspace"] * 9, *"group:3", "enter")
        await until(pilot, lambda: table.count == 10)
        await pilot.press("slash", "x", "y", "enter")
        await until_shown(pilot, "no example holds this")
        await until_shown(pilot, "ekfac_normalized · top · 0 of 1,500")
        await pilot.press("escape")
        await until(pilot, lambda: table.count == 1500)
        assert app.screen.query_one("#filter", Input).value == ""


async def test_marks_stay_when_the_order_and_the_prompt_change(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "ekfac_normalized · top · 1,500")
        await pilot.press("enter", "space")
        table = app.screen.query_one(RankingTable)
        assert table.marked == {1}
        await pilot.press("escape", "j", "enter")
        await until_shown(pilot, "★ doc-0011")
        await pilot.press("space")
        assert table.marked == {1, 11}
        await pilot.press("escape", "k")
        await until_shown(pilot, "●     1")


async def test_without_rankings_it_says_what_is_missing(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.new_run(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "no rankings yet: the scores stage has not finished")
        await pilot.press("escape")
        assert isinstance(app.screen, RunScreen)


async def test_a_run_scored_before_texts_were_kept_says_what_to_run(tmp_path: Path) -> None:
    run = sample_run.scored_run(tmp_path)
    run.lookup.unlink()
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(100, 24)) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "headwater run scores --force --run demo")


async def test_a_prompt_that_was_left_out_says_so_and_the_others_are_ranked(
    tmp_path: Path,
) -> None:
    run = sample_run.scored_run(tmp_path)
    prompts = load_prompts(run.prepared_prompts, use_generated=True)
    silent = Prompt(id="silent", prompt="Nobody says", completion="")
    save_prompts(run.prepared_prompts, [silent, *prompts])
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "this prompt was not scored")
        await pilot.press("x", "y", "number_sign", "n", "j")
        await until_shown(pilot, "★ doc-0001")
        assert "was not scored" not in screen_text(app)


async def test_scores_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    run = sample_run.scored_run(tmp_path)
    run.scores.write_bytes(b"torn")
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "scores/scores.safetensors is damaged")


@pytest.mark.parametrize(("size", "facts"), [((80, 24), []), ((200, 60), ["tokens", "near-dup."])])
async def test_ids_are_told_apart_by_their_ends_and_texts_have_room(
    tmp_path: Path, size: tuple[int, int], facts: list[str]
) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path, hostile="-of-the-second-book"))
    async with app.run_test(size=size) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "Prompts · 6")
        await pilot.press("enter")
        await until_shown(pilot, "· top · 1,500")
        head, first = [
            line
            for line in screen_text(app).splitlines()
            if "rank " in line or "▌       1 " in line
        ]
        assert [name for name in ("tokens", "near-dup.") if name in head] == facts
        assert "★ doc-00" in first
        assert "-book " in first
        assert len(head) - head.index("text") >= 32


async def test_newer_rankings_open_where_one_was(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "Prompts · 6")
        await pilot.press("j", "enter")
        await pick(pilot, "identity")
        await until_shown(pilot, "identity · top")
        await pilot.press("j", "space", "j")
        table, before = app.screen.query_one(RankingTable), app.screen
        marked, selected = table.marked, table.selected
        await pilot.press("f5")
        await until(pilot, lambda: app.screen is not before)
        await until_shown(pilot, "identity · top")
        newer = app.screen.query_one(RankingTable)
        await until(pilot, lambda: newer.has_focus)
        assert (newer.marked, newer.selected) == (marked, selected)
        assert app.screen.query_one(PromptList).cursor == 1


@pytest.mark.parametrize("value", [-999_999.8, 47_315.3, 4_984.7, 946.5, 0.0012])
async def test_a_score_stands_apart_from_its_rank(tmp_path: Path, value: float) -> None:
    """A figure of four digits and one decimal filled its column up to the rank."""
    scored = Scored(sample_run.scored_run(tmp_path))
    scores = np.full(len(scored.corpus), value, np.float32)
    app = HeadwaterApp(tmp_path)
    async with app.run_test():
        table = RankingTable()
        await app.mount(table)
        table.listing = Listing(scored.corpus, Ranking("home-0", "made", scores))
        written = "".join(text for text, _ in table.line(11, 80))
        assert re.search(r"\b12 +[+-][\d,.]+", written), written


async def test_it_says_how_far_a_ranking_follows_gradient_size_and_another_prompt(
    tmp_path: Path,
) -> None:
    run = sample_run.scored_run(tmp_path)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("I")
        await until_shown(pilot, "beside gradient size alone: ρ 0.0")
        found = Scored(run).controls("home-1", "ekfac_normalized")
        await pilot.press("j")
        assert found.other
        await until_shown(pilot, f"beside prompt {found.other_prompt}: ρ ")
        await until_shown(
            pilot, f"ρ {found.size.correlation:z.2f}, {found.size.shared} of the first"
        )


async def test_a_ranking_that_follows_gradient_size_is_warned_of(tmp_path: Path) -> None:
    run = sample_run.scored_run(tmp_path)
    with safe_open(run.scores, "np") as file:
        metadata = file.metadata()
    tensors = load_file(run.scores)
    tensors["self_ekfac"] = tensors["ekfac_normalized"][0].copy()
    save_file(tensors, run.scores, metadata)
    app = HeadwaterApp(tmp_path, run)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("I")
        await until_shown(
            pilot, "! hardly more than gradient size alone gives: ρ 1.00, 10 of the first"
        )


async def test_a_narrow_footer_offers_to_prove_and_to_curate(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.scored_run(tmp_path))
    async with app.run_test(size=(80, 24)) as pilot:
        await until_shown(pilot, "Stages")
        for key, shown in (("I", "Prompts · 6"), ("enter", "★ states the answer")):
            await pilot.press(key)
            await until_shown(pilot, shown)
            footer = screen_text(app).splitlines()[-1]
            assert "V Prove  K Curate  M Method  / Find" in footer
            assert footer.rstrip().endswith("? Help  q Quit")


async def test_without_rankings_nothing_is_offered_that_works_on_them(tmp_path: Path) -> None:
    app = HeadwaterApp(tmp_path, sample_run.new_run(tmp_path))
    async with app.run_test(size=(120, 40)) as pilot:
        await until_shown(pilot, "Stages")
        await pilot.press("I")
        await until_shown(pilot, "Enter runs scores here")
        await until(pilot, lambda: "Method" not in screen_text(app))
        footer = screen_text(app).splitlines()[-1]
        assert not {"Prove", "Curate", "Method", "Find", "Copy"} & set(footer.split())
        assert "Esc Back" in footer
