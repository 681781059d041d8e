"""What `headwater submit --workers` says of workers that would have nothing to do."""

from __future__ import annotations

import pytest

from pipeline.contract.errors import UsageError
from pipeline.contract.settings.schema import Settings
from tui.verbs.submitting import _of_workers

ONE_PART = Settings.model_validate(
    {
        "data": {"source": "demo"},
        "factors": {"covariance_data_partitions": 1, "lambda_data_partitions": 1},
        "scores": {"data_partitions": 1},
    }
)


@pytest.mark.parametrize("stage", ["validate", "prove", "index", "benchmark"])
def test_stages_whose_parts_need_no_setting_take_any_number(stage: str) -> None:
    assert not list(_of_workers(8, (stage,), ONE_PART))


def test_stages_that_workers_cannot_help_are_refused_with_those_that_they_can() -> None:
    with pytest.raises(UsageError, match="factors, scores, benchmark, index, validate, prove"):
        list(_of_workers(8, ("generate", "report"), ONE_PART))


def test_undivided_passes_are_refused_alone_and_warned_of_beside_other_stages() -> None:
    with pytest.raises(UsageError, match=r"8 workers would have nothing to do: scores\.data_part"):
        list(_of_workers(8, ("scores",), ONE_PART))
    (warning,) = _of_workers(8, ("scores", "validate"), ONE_PART)
    assert "scores.data_partitions = 1" in warning
