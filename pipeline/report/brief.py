"""The report in a few sentences: what was run on what, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from pipeline.contract.results.training import TrainingSummary
from pipeline.contract.results.validation import ValidationSummary
from pipeline.contract.results.verdict import BETTER, UNDECIDED, WORSE, Verdict
from pipeline.contract.settings.schema import Settings
from pipeline.report.facts import RunFacts
from pipeline.report.text import count, decimal, figure, percent


def brief(facts: RunFacts, settings: Settings) -> list[str]:
    """A sentence or two for each part that has been run, in the report's order."""
    return [*_run(facts, settings), *_answers(facts), *_benchmarks(facts), *_influence(facts)]


def _run(facts: RunFacts, settings: Settings) -> Iterator[str]:
    corpus, training = facts.corpus, facts.training
    if corpus and training:
        on = (
            f"({count(training.parameters)} parameters) on {count(corpus.examples)} examples, "
            f"{count(corpus.tokens)} tokens, of {corpus.source}"
        )
        if training.trained_elsewhere:
            yield f"{training.trained_elsewhere} was trained elsewhere {on}{_adapter(training)}."
        else:
            steps = f", for {count(training.steps)} steps"
            yield f"{_start(settings)} {on}{steps}{_adapter(training)}."
    if training and training.validation_loss is not None:
        before, after = training.base_validation_loss, training.validation_loss
        came = f"came down from {figure(before)} to" if before and before > after else "is"
        yield f"The loss on held-out text {came} {figure(after)} nats a token."


def _start(settings: Settings) -> str:
    if settings.model.init == "scratch":
        return f"A {settings.model.preset} model was trained from scratch"
    return f"{settings.model.name} was fine-tuned"


def _adapter(training: TrainingSummary) -> str:
    adapter = training.adapter
    if adapter is None:
        return ""
    scale = f"{adapter.alpha:g} ÷ {'√' if adapter.rslora else ''}{adapter.rank}"
    return (
        f"; trained was a LoRA adapter of rank {adapter.rank}, scaled by {scale}, on "
        f"{count(adapter.modules)} layers ({count(adapter.parameters)} parameters)"
    )


def _answers(facts: RunFacts) -> Iterator[str]:
    metrics = facts.evaluation.metrics if facts.evaluation else ()
    if metrics:
        yield (
            f"Its answers to {metrics[0].n} prompts against those of the model before training: "
            f"{_verdicts([row.verdict for row in metrics], 'measures', metrics[0].n)}."
        )


def _benchmarks(facts: RunFacts) -> Iterator[str]:
    benchmark = facts.benchmark
    if not benchmark:
        return
    scores = [row for row in benchmark.scores if row.model == "trained"]
    known = sum(row.low is not None and row.low > row.chance for row in scores)
    if scores:
        yield (
            f"On benchmarks, {known} of its {len(scores)} scores are above chance with their whole "
            "interval."
        )
    if benchmark.comparisons:
        verdicts = _verdicts([row.verdict for row in benchmark.comparisons], "scores")
        yield f"Question by question against the model before training: {verdicts}."


def _verdicts(verdicts: list[Verdict], what: str, prompts: int | None = None) -> str:
    counts = Counter(verdicts)
    counted = [f"{counts[name]} {name}" for name in (BETTER, WORSE) if counts[name]]
    if counts[UNDECIDED]:
        by = "could be shown" if prompts is None else f"{prompts:,} prompts can show"
        counted.append(f"{counts[UNDECIDED]} without a difference that {by}")
    return f"of {len(verdicts)} {what}, {', '.join(counted)}"


def _influence(facts: RunFacts) -> Iterator[str]:
    scores = facts.scores
    if scores is None:
        return
    default = scores.default_method
    what = "the model's own answers" if facts.generated_traced else "the given completions"
    yield (
        f"{scores.prompts} prompts were traced: {count(scores.examples)} training examples "
        f"are ranked for each by how much they taught {what}, by {default}."
    )
    graded = scores.evaluation.get(default)
    if graded:
        yield (
            "Where it is known which documents state the answer, one of them is first for "
            f"{percent(graded.top1)} of the prompts (MRR {decimal(graded.mrr)})."
        )
    yield from _removal(facts.validation, default)


def _removal(validation: ValidationSummary | None, default: str) -> Iterator[str]:
    removal = validation.removal if validation else None
    if not removal or default not in removal.methods:
        yield "Whether leaving these examples out changes the answers has not been tried."
        return
    drop = removal.methods[default].drop
    yield (
        f"Trained again without the first {removal.removed} examples of each prompt, the model "
        f"finds the completions {figure(drop.value, 3)} nats less likely (95 % interval "
        f"{figure(drop.low, 3)} – {figure(drop.high, 3)})."
    )
