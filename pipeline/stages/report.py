"""report: one page that says what was run, what came out, and what is missing.

Writes combined_evaluation_results/: combined_evaluation_report.md and .html (self-contained), and
figures/*.svg, which the Markdown shows; those of the evaluation as PNG too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

from matplotlib.figure import Figure

from pipeline.contract.files import write_text
from pipeline.contract.results.report import ReportSummary, write_report
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.report import figures, score_figures
from pipeline.report.brief import brief
from pipeline.report.facts import RunFacts, gather
from pipeline.report.lessons import lessons
from pipeline.report.pages import html_page, markdown_page
from pipeline.report.spectrum_figures import save_png
from pipeline.report.style import page_figure_style, page_svg


def run(settings: Settings, run: RunDir, events: EventWriter) -> None:
    """Gathers what the finished stages wrote, draws it and writes both pages."""
    events.doing("gathering results")
    facts = gather(settings, run)
    events.doing("drawing")
    pictures = {name: svg for name, svg in _draw(facts, settings) if svg is not None}
    for name, svg in pictures.items():
        write_text(run.report / "figures" / f"{name}.svg", svg)
    for name, figure in _evaluation_figures(facts):
        save_png(figure(), run.report / "figures" / f"{name}.png")
        with page_figure_style():
            pictures[name] = page_svg(figure())
        write_text(run.report / "figures" / f"{name}.svg", pictures[name])
    changes = score_figures.all_changes(
        facts.evaluation.metrics if facts.evaluation else (),
        facts.benchmark.comparisons if facts.benchmark else (),
    )
    if changes is not None:
        save_png(changes, run.report / "combined_improvements.png")
    events.doing("writing the pages")
    default = facts.scores.default_method if facts.scores else ""
    more = {
        "brief": brief(facts, settings),
        "asked": ["all", *_asked_for(facts)],
        "written": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        "default": default,
        "lessons": lessons(facts.scores.evaluation if facts.scores else {}, default),
        "last_layer": _last_layer(facts),
    }
    paths = {name: f"figures/{name}.svg" for name in pictures}
    write_report(
        run,
        markdown_page(facts, paths, **more),
        html_page(facts, pictures, **more),
        ReportSummary(facts.prompt_count, facts.missing),
    )


def _draw(facts: RunFacts, settings: Settings) -> Iterator[tuple[str, str | None]]:
    """Gives (name, SVG, or None where there is nothing to draw)."""
    base = facts.training.base_validation_loss if facts.training else None
    yield "loss", figures.loss_curve(facts.curves, base)
    first = settings.factors.strategies[0]
    spectra = [one for one in facts.spectra or () if one.strategy == first]
    yield "effective_rank", figures.effective_ranks(spectra)


def _evaluation_figures(facts: RunFacts) -> Iterator[tuple[str, Callable[[], Figure]]]:
    """Gives (name, what draws it), for those that are written as PNG too."""
    if facts.benchmark and facts.benchmark.scores:
        yield "benchmarks", partial(score_figures.benchmark_scores, facts.benchmark.scores)
    if facts.evaluation and facts.evaluation.metrics:
        yield "answers", partial(score_figures.metric_changes, facts.evaluation.metrics)
    if facts.validation:
        yield from score_figures.validation(facts.validation)


def _asked_for(facts: RunFacts) -> list[str]:
    """The stages that "all" does not run and that somebody has run here."""
    statuses = [stage.status for stage in facts.stages]
    return [status.stage for status in statuses if status.optional and not status.unasked]


def _last_layer(facts: RunFacts) -> int | None:
    return max((one.layer for one in facts.spectra or () if one.layer is not None), default=None)
