"""What the verbs print on stdout: text tables, CSV, JSON."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from pipeline.contract.errors import HeadwaterError, MissingResultError, UsageError
from pipeline.contract.files import NO_FILE, open_regular
from pipeline.contract.results.answers import read_answers
from pipeline.contract.results.common import readable
from pipeline.contract.results.prompts import read_prompts
from pipeline.contract.results.rankings import End, RankedExample, read_rankings
from pipeline.contract.results.scores import read_scores_summary
from pipeline.contract.results.spectra import LayerFiles, read_summary
from pipeline.contract.run.attempts import STANDING, read_attempts
from pipeline.contract.run.freshness import Done, is_fresh
from pipeline.contract.run.processes import is_locked
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.stages import STAGES
from pipeline.contract.run.status import StageStatus, run_status
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.units import duration
from tui.readers.clean import clean
from tui.readers.run_facts import (
    Figures,
    RunFacts,
    data_of,
    figures_of,
    model_of,
    remarks_of,
    state_of,
    time_of,
)
from tui.readers.run_filter import EVERYTHING, Filter

if TYPE_CHECKING:
    from pipeline.contract.results.controls import Controls

Row = Mapping[str, object]
_FOLLOW_S = 0.5
_EXCERPT = 160


def plain(rows: Sequence[Row], right: Collection[str] = ()) -> str:
    """Rows of equal keys as aligned columns; numbers, and the columns `right`, to the right."""
    if not rows:
        return "none"
    columns = {key: [_cell(row[key]) for row in rows] for key in rows[0]}
    lines: list[list[str]] = [[] for _ in range(len(rows) + 1)]
    for key, cells in columns.items():
        width = max(len(cell) for cell in [key, *cells])
        number = key in right or all(isinstance(row[key], int | float) for row in rows)
        for line, cell in zip(lines, [key, *cells], strict=True):
            line.append(cell.rjust(width) if number else cell.ljust(width))
    return "\n".join("  ".join(line).rstrip() for line in lines)


def _cell(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def status(stages: list[StageStatus]) -> str:
    """One line a stage, its trouble indented below it."""
    rows = [
        {"stage": s.stage, "state": s.state, "progress": _progress(s), "time": duration(s.seconds)}
        for s in stages
    ]
    header, *lines = plain(rows).splitlines()
    for index, stage in reversed(list(enumerate(stages))):
        lines[index + 1 : index + 1] = [f"    {clean(text)}" for text in stage.message.splitlines()]
    return "\n".join([header, *lines])


def _progress(stage: StageStatus) -> str:
    if not stage.at_work:
        return ""
    share = f"{stage.share:.0%}" if stage.share else ""
    left = f"{duration(stage.eta)} left" if stage.eta else ""
    return ", ".join(filter(None, [share, stage.phase, left]))


def run_rows(runs: list[RunDir], kept: Filter = EVERYTHING) -> list[Row]:
    """One row for every run that a filter keeps, the one in which something happened last first."""
    found = sorted(map(_run_facts, runs), key=lambda facts: facts.time, reverse=True)
    return [_run_row(facts) for facts in found if kept(facts)]


def _run_row(facts: RunFacts) -> Row:
    figures, remarks = facts.figures, facts.remarks
    return {
        "run": facts.run,
        "stage": facts.stage,
        "state": facts.state,
        "model": facts.model,
        "data": facts.data,
        "val_loss": figures.loss,
        "mrr": figures.mrr,
        "lds": figures.lds,
        "tags": list(remarks.tags),
        "note": remarks.note,
        "hours": round((time.time() - facts.time) / 3600, 1),
    }


def runs_text(rows: Sequence[Row]) -> str:
    """The rows for reading; columns that nothing stands in are left out."""
    told = [{**row, "tags": " ".join(row["tags"])} for row in rows]  # type: ignore[arg-type]
    nothing = (None, "")
    empty = {key for row in told for key in row} - {
        key for row in told for key, value in row.items() if value not in nothing
    }
    return plain([{key: row[key] for key in row if key not in empty} for row in told])


def _run_facts(run: RunDir) -> RunFacts:
    attempts = read_attempts(run, STANDING)
    happened, remarks = time_of(run, attempts.last_time), remarks_of(run)
    try:
        settings = load_settings(run.settings)
        stages = run_status(run, settings, attempts)
    except (HeadwaterError, OSError) as error:
        said = str(error).splitlines()[0]
        return RunFacts(run.name, said, "settings", "", "", Figures(), remarks, happened)
    made_of, figures = (model_of(settings), data_of(settings)), figures_of(run, stages)
    return RunFacts(run.name, *state_of(stages), *made_of, figures, remarks, happened)


def log_text(run: RunDir, stages: tuple[str, ...], follow: bool) -> Iterator[str]:
    """What the logs of the stages hold, control characters shown; then what is added."""
    for stage in stages:
        if stage not in STAGES:
            raise UsageError(f"there is no stage {stage!r}; valid: {', '.join(STAGES)}")
    read = dict.fromkeys(stages, 0)
    while True:
        working = is_locked(run)
        for stage in stages:
            try:
                with open_regular(run.log(stage)) as file:
                    file.seek(read[stage])
                    new = file.read()
            except OSError as error:
                if error.errno in NO_FILE:
                    continue
                raise
            read[stage] += len(new)
            for line in new.decode("utf-8", "replace").splitlines():
                yield f"{stage}: {clean(line.rpartition(chr(13))[2])}\n"
        if not (follow and working):
            return
        time.sleep(_FOLLOW_S)


def layer_report(run: RunDir, layer: int | None) -> str:
    """The analysis of a layer's factors and the paths of its pictures.

    Raises:
        MissingResultError: the inspect stage has not finished.
        UsageError: there is no such layer; names those that are.
    """
    require_fresh(run, "inspect")
    layers = read_summary(run).layers
    if not layers:
        raise MissingResultError("these factors have no spectra: identity fits no curvature")
    chosen = layers[-1] if layer is None else layer
    if chosen not in layers:
        raise UsageError(f"there is no layer {chosen}; valid: {', '.join(map(str, layers))}")
    files = LayerFiles.of(run, chosen)
    with readable(run, "inspect", files.analysis):
        text = files.analysis.read_text(encoding="utf-8").rstrip()
    return "\n".join([text, "", *map(str, files.pictures)])


def ranking(
    run: RunDir, prompt_id: str | None, method: str | None, end: End, count: int
) -> list[RankedExample]:
    """The `count` most extreme examples of one end, for one prompt or for each.

    Raises:
        MissingResultError: the scores stage has not finished.
        UsageError: there is no such prompt or method; names those that are.
    """
    require_fresh(run, "scores")
    summary = read_scores_summary(run)
    method = _choice("method", method or summary.default_method, summary.methods)
    rows = read_rankings(run, prompt_id=prompt_id, method=method, end=end, last=count)
    if prompt_id is not None and not rows:
        from pipeline.contract.results.score_file import ScoreFile  # NumPy takes a while

        _choice("prompt", prompt_id, ScoreFile(run).metadata.prompts)
    return rows


def controls(run: RunDir, prompt_id: str, method: str | None) -> Controls:
    """How far a prompt's ranking agrees with gradient size and with another prompt's ranking.

    Raises:
        MissingResultError: the scores stage has not finished.
        UsageError: there is no such prompt or method; names those that are.
    """
    from pipeline.contract.results.controls import ControlReader  # NumPy takes a while
    from pipeline.contract.results.score_file import ScoreFile

    require_fresh(run, "scores")
    file = ScoreFile(run)
    method = _choice("method", method or file.metadata.default_method, file.metadata.methods)
    _choice("prompt", prompt_id, file.metadata.prompts)
    return ControlReader(file, read_prompts(run)).read(prompt_id, method)


def controls_text(found: Controls) -> str:
    """The two agreements, a line each."""
    return "".join(f"  {'! ' * much}{clean(line)}\n" for line, much in found.lines())


def _choice(what: str, value: str, valid: Sequence[str]) -> str:
    if value not in valid:
        raise UsageError(f"there is no {what} {value!r}; valid: {', '.join(valid)}")
    return value


def require_fresh(run: RunDir, stage: str) -> None:
    """Refuses to read what a stage has not finished, or what is out of date.

    Raises:
        MissingResultError: so it is.
    """
    if Done.read(stage, run) is None:
        hint = f"`headwater status {run.name}` tells why, `headwater resume {run.name}` goes on"
        raise MissingResultError(f"stage {stage} of run {run.name} has not finished", hint)
    if not is_fresh(stage, load_settings(run.settings), run):
        hint = f"`headwater resume {run.name}` brings it up to date"
        raise MissingResultError(f"stage {stage} of run {run.name} is out of date", hint)


def demo_summary(run: RunDir) -> str:
    """What the demo shows: how well every ranking finds the planted documents, with examples."""
    summary = read_scores_summary(run)
    known, evaluation = summary.known, summary.evaluation
    k = next(iter(evaluation.values())).k
    rows = [
        {
            "ranking": name + ("  ← default" if name == summary.default_method else ""),
            f"recall@{k}": f"{figures.recall:.2f}",
            "MRR": f"{figures.mrr:.2f}",
            "top-1": f"{figures.top1:.2f}",
        }
        for name, figures in evaluation.items()
    ]
    share = known.correct / known.prompts
    return "\n".join(
        [
            f"The model completes {known.correct:,} of {known.prompts:,} planted facts "
            f"({share:.0%}) by greedy decoding.",
            f"Which of {summary.examples:,} documents taught it? Each fact is stated in several;"
            " a ranking should put those first.",
            "",
            plain(rows),
            "",
            f"These are the figures of one seed, {load_settings(run.settings).run.seed}: another"
            " makes other facts, documents and weights, and gives others.",
            "",
            LESSON,
            "",
            *_demo_examples(run, summary.default_method),
            f"Everything is in {run.root}: `headwater tui {run.name}` browses it,",
            f"{run.report_html} tells it on one page.",
        ]
    )


LESSON = """\
identity is the plain gradient dot product: examples with large gradients crowd its top.
gradient_cosine divides that size out. KFAC and EKFAC weigh each direction by the curvature of
the loss, so directions that every document shares count for little; "normalized" divides by
√self-influence as well. BM25 only sees shared words, and the distractors share them too."""


def _demo_examples(run: RunDir, method: str) -> list[str]:
    lines: list[str] = []
    for answer in islice(read_answers(run).values(), 2):
        lines.append(f"{clean(answer.prompt)} → {clean(answer.generated.strip(), _EXCERPT)}")
        for row in ranking(run, answer.id, method, "top", 5):
            mark = "★" if row.relevant else " "
            lines.append(f"  {row.rank} {mark} {clean(row.text, _EXCERPT)}")
        lines.append("")
    return lines
