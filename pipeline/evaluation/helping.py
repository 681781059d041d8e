"""Another worker's part in benchmark: it puts questions to the models."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.workers import Offer
from pipeline.contract.settings.schema import Settings
from pipeline.evaluation.benchmarks.answer_parts import AnswerParts
from pipeline.evaluation.benchmarks.answering import AnsweringModel, load_answering, phase_of
from pipeline.evaluation.catalogue import all_questions, ready
from pipeline.model import select_device
from pipeline.sharing.stage import Helper, work_folder


class _Helping:
    def __init__(self, stage: str, settings: Settings, run: RunDir) -> None:
        self._stage, self._settings, self._run = stage, settings, run
        self.device = str(select_device(settings))
        benchmarks, _skipped = ready(settings)
        self._questions = all_questions(benchmarks)
        self._asked = {
            phase_of(benchmark.name, name): (benchmark, name)
            for benchmark in benchmarks
            for name in settings.benchmark.models
        }
        self._model: AnsweringModel | None = None

    def work(self, offer: Offer) -> Callable[[Helper], None] | None:
        if offer.phase not in self._asked:
            return None
        benchmark, name = self._asked[offer.phase]
        if self._model is None or self._model.get_model_name() != name:
            self._model = None  # one at a time
            self._model = load_answering(self._settings, self._run, name)
        questions = self._questions[benchmark.name]
        parts = AnswerParts(benchmark, questions, self._model, self._settings, self._run)
        parts.begin(work_folder(self._run, self._stage, offer))
        return parts.help


def helping(stage: str, settings: Settings, run: RunDir) -> _Helping:
    """What does parts of the stage, see `pipeline.worker.Helping`."""
    return _Helping(stage, settings, run)
