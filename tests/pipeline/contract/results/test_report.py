"""The report's pages, as other rooms read them."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.contract.errors import MissingResultError
from pipeline.contract.files import read_json
from pipeline.contract.results.common import Loaded
from pipeline.contract.results.report import STAGE, ReportSummary, load_report, write_report
from pipeline.contract.run import freshness
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.profiles import profile, render_settings


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run whose report has finished."""
    run = RunDir(tmp_path / "demo")
    run.root.mkdir()
    run.settings.write_text(render_settings(profile("demo")))
    settings = load_settings(run.settings)
    fingerprint = freshness.begin(STAGE, settings, run)
    write_report(
        run, "# Run", "<h1>Run</h1>", ReportSummary(2, {"train": "train has not been run"})
    )
    freshness.finish(STAGE, fingerprint, settings, run, 1.0)
    return run


def test_a_report_comes_with_both_pages_and_says_what_it_lacks(run: RunDir) -> None:
    assert load_report(run) == Loaded("# Run", fresh=True)
    assert run.report_html.read_text() == "<h1>Run</h1>"
    missing = read_json(run.summary(STAGE))["missing"]
    assert missing == {"train": "train has not been run"}


def test_a_page_that_was_deleted_is_gone_and_says_how_to_write_it_anew(run: RunDir) -> None:
    run.report_markdown.unlink()
    with pytest.raises(MissingResultError, match=r"combined_evaluation_report\.md is gone") as gone:
        load_report(run)
    assert "headwater run report --force" in gone.value.hint


def test_letters_that_are_no_utf8_do_not_hide_the_page(run: RunDir) -> None:
    run.checksums("report").unlink()  # of an earlier version: with them another file is refused
    run.report_markdown.write_bytes(b"# R\xff")
    assert load_report(run).value == "# R\ufffd"
