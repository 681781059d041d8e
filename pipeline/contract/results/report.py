"""The report: its pages, and what it could not tell.

Files: `combined_evaluation_results/combined_evaluation_report.md` and `.html`, and
`report/summary.json`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.contract.files import write_text
from pipeline.contract.results.common import Loaded, load, readable, write_record
from pipeline.contract.run.run_dir import RunDir

STAGE = "report"


@dataclass(frozen=True)
class ReportSummary:
    """The content of `report/summary.json`."""

    prompts: int
    missing: dict[str, str]
    """Stage → why its results are not in the report."""


def write_report(run: RunDir, markdown: str, html: str, summary: ReportSummary) -> None:
    """Writes both pages and the summary."""
    write_text(run.report_markdown, markdown)
    write_text(run.report_html, html)
    write_record(run.summary(STAGE), summary)


def read_report(run: RunDir) -> str:
    """The page in Markdown.

    Raises:
        MissingResultError: there is none.
        DamagedResultError: it cannot be read.
    """
    with readable(run, STAGE, run.report_markdown):
        return run.report_markdown.read_text(encoding="utf-8", errors="replace")


def load_report(run: RunDir) -> Loaded[str]:
    """The page of a finished report; see `common.load` for the errors."""
    return load(run, STAGE, read_report)
