"""The page of what the rankings proved: models trained again, single steps, fits repeated."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from textual.content import Content

from tui import validation
from tui.content.forest import forest, span_of
from tui.content.ink import Ink
from tui.content.rows import Cell, Column, Row
from tui.readers.clean import clean
from tui.readers.evaluation import Interval, Validation
from tui.screens.mixins.tabled import Pane
from tui.screens.pages.evaluation_pages import Page
from tui.validation import Proof

_FOREST = 25
_PROOFS = {
    "removal": "removal",
    "datamodeling": "LDS",
    "tail_patch": "tail patch",
    "stability": "stability",
}
_MEANINGS = {
    "removal": "The model was trained again from the same initial weights, without the first "
    "{removed} examples of every prompt. Value: by how much ln p of the completions dropped.",
    "datamodeling": "The model was trained again on {subsets} random halves of the examples. "
    "Value: Spearman's correlation, over the halves, of summed scores with measured ln p (linear "
    "datamodeling score): 1 = perfect, 0 = chance.",
    "tail_patch": "The model took one step of gradient descent on each of the first {examples} "
    "examples of every prompt. Value: by how much ln p of the completion rose.",
    "stability": "Every example was scored again, with another damping or with the curvature "
    "fitted to other sampled labels. Value: the rank correlation with the run's own ranking, "
    "averaged over the prompts; beside it that of the prompt which agrees least.",
}


@dataclass(frozen=True)
class ValidationPage(Page):
    """One line a proof and ranking, its interval drawn beside those of the same proof."""

    title = "Validation"
    validation: Validation
    columns = (
        Column("proof", 10),
        Column("ranking"),
        Column("value", 7, right=True),
        Column("95 % interval", 16, right=True),
        Column("over", 6),
        Column("by", 7, right=True),
        Column("from 0 ┊, by proof", _FOREST, spare=True),
    )

    def rows(self) -> Iterator[Row]:
        """Retraining first."""
        for part, name in _PROOFS.items():
            proofs = validation.proofs(part, self.validation.summary)
            span = span_of((proof.estimate for proof in proofs), 0.0)
            for proof in proofs:
                yield Row((Cell(name, "dim"), *self._cells(proof, span)), proof)

    def _cells(self, proof: Proof, span: tuple[float, float]) -> Iterator[Cell]:
        is_own = proof.name == self.validation.summary["default_method"]
        yield Cell(proof.name, "strong" if is_own else "plain")
        yield Cell(f"{proof.estimate.value:.3f}", value=proof.estimate.value)
        yield Cell(_ends(proof.estimate), value=proof.estimate.low)
        if proof.more is None:
            yield from (Cell("–", "dim"), Cell("–", "dim"))
        else:
            yield Cell(proof.reference, "dim")
            yield Cell(f"{proof.more.value:+.3f}", _standing(proof.more)[1], proof.more.value)
        yield Cell(forest(proof.estimate, span, _FOREST, 0.0), "accent", proof.estimate.value)

    def panes(self, row: Row, against_expected: bool) -> tuple[Pane, ...]:
        """What was done, and what the figures bear out."""
        proof: Proof = row.item
        summary = self.validation.summary
        facts, top = summary.get(proof.part) or {}, summary["stability_top"]
        lines = [
            Content.assemble((clean(proof.name), "bold"), f": {_verdict(proof, top)}"),
            Content(),
            Content(_MEANINGS[proof.part].format(**facts)),
            Content(f"{summary['prompts']} prompts, {summary['examples']:,} examples"),
        ]
        if seeds := facts.get("seeds"):
            again = "once" if len(seeds) == 1 else f"{len(seeds)} times, in other orders"
            lines.append(Content(f"each trained {again}"))
        warnings = summary["warnings"]
        lines += [Content.assemble(("! ", "$warning"), clean(text)) for text in warnings]
        return (Pane("What it says", Content("\n").join(lines)),)


def _ends(one: Interval) -> str:
    if one.low is None:
        return "–"
    return f"least {one.low:.3f}" if one.high is None else f"{one.low:.3f} to {one.high:.3f}"


def _standing(more: Interval) -> tuple[str, Ink]:
    """What an interval of a difference bears out."""
    if more.low is not None and more.low > 0:
        return "better", "good"
    if more.high is not None and more.high < 0:
        return "worse", "bad"
    return "no difference shown", "plain"


def _verdict(proof: Proof, top: int) -> str:
    if proof.shared is not None:
        return f"of a prompt's first {top} examples {proof.shared:.0%} are the same"
    if proof.more is None:
        return "what the others are compared with"
    ends = f" ({_ends(proof.more)})" if proof.more.low is not None else ""
    return f"{proof.more.value:+.3f}{ends} over {proof.reference}: {_standing(proof.more)[0]}"
