"""The page of the validation: models trained again, single steps, fits repeated."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from textual.content import Content

from pipeline.contract.results.validation import (
    PARTS,
    REFERENCES,
    SHORT_TITLES,
    Finding,
    Part,
    ValidationSummary,
    findings,
)
from pipeline.contract.results.verdict import (
    Difference,
    Estimate,
    verdict,
)
from tui.content.forest import forest, interval_of, span_of
from tui.content.rows import Cell, Column, Row
from tui.content.verdict_inks import VERDICT_INKS
from tui.readers.clean import clean
from tui.screens.mixins.tabled import Pane
from tui.screens.pages.evaluation_pages import Page

_FOREST = 25
_MEANINGS: Mapping[Part, str] = {
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
    """One line a part and ranking, its interval drawn beside those of the same part."""

    title = "Validation"
    validation: ValidationSummary
    columns = (
        Column("experiment", 11),
        Column("ranking"),
        Column("value", 7, right=True),
        Column("95 % interval", 16, right=True),
        Column("against", 7),
        Column("gain", 7, right=True),
        Column("interval, ┊ = 0", _FOREST, spare=True),
    )

    def rows(self) -> Iterator[Row]:
        """Retraining first."""
        for part in PARTS:
            of_part = list(findings(self.validation, part))
            span = span_of((interval_of(one.estimate) for one in of_part), 0.0)
            for one in of_part:
                yield Row((Cell(SHORT_TITLES[part], "dim"), *self._cells(one, span)), one)

    def _cells(self, finding: Finding, span: tuple[float, float]) -> Iterator[Cell]:
        estimate, more = finding.estimate, finding.advantage
        is_own = finding.name == self.validation.default_method
        yield Cell(finding.name, "strong" if is_own else "plain")
        yield Cell(f"{estimate.value:.3f}", value=estimate.value)
        yield Cell(_ends(estimate), value=estimate.low)
        if more is None:
            yield from (Cell("–", "dim"), Cell("–", "dim"))
        else:
            yield Cell(REFERENCES[finding.part], "dim")
            yield Cell(f"{more.difference:+.3f}", VERDICT_INKS[verdict(more)], more.difference)
        drawn = forest(interval_of(estimate), span, _FOREST, 0.0)
        yield Cell(drawn, "accent", estimate.value)

    def panes(self, row: Row, against_expected: bool) -> tuple[Pane, ...]:
        """What was done, and what the figures bear out."""
        finding: Finding = row.item
        summary = self.validation
        lines = [
            Content.assemble((clean(finding.name), "bold"), f": {self._conclusion(finding)}"),
            Content(),
            *map(Content, self._meaning(finding.part)),
        ]
        lines += [Content.assemble(("! ", "$warning"), clean(text)) for text in summary.warnings]
        return (Pane("What it says", Content("\n").join(lines)),)

    def _meaning(self, part: Part) -> Iterator[str]:
        """What was done, on how much, how often."""
        summary = self.validation
        removal, halves, steps = summary.removal, summary.datamodeling, summary.tail_patch
        yield _MEANINGS[part].format(
            removed=removal.removed if removal else "",
            subsets=halves.subsets if halves else "",
            examples=steps.examples if steps else "",
        )
        yield f"{summary.prompts:,} prompts, {summary.examples:,} examples"
        trained = {"removal": removal, "datamodeling": halves}.get(part)
        if trained:
            again = (
                "once"
                if len(trained.seeds) == 1
                else f"{len(trained.seeds)} times, in other orders"
            )
            yield f"each trained {again}"

    def _conclusion(self, finding: Finding) -> str:
        if finding.agreement:
            top, shared = self.validation.stability_top, finding.agreement.top_overlap
            return f"of a prompt's first {top} examples {shared:.0%} are the same"
        more = finding.advantage
        if more is None:
            return "what the others are compared with"
        ends = f" ({_ends(more)})" if more.low is not None else ""
        return f"{more.difference:+.3f}{ends} over {REFERENCES[finding.part]}: {verdict(more)}"


def _ends(one: Estimate | Difference) -> str:
    if one.low is None:
        return "–"
    return f"least {one.low:.3f}" if one.high is None else f"{one.low:.3f} to {one.high:.3f}"
