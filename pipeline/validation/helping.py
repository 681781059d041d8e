"""Another worker's part in validate and prove: it trains models again for them."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.contract.results import proofs
from pipeline.contract.run.proving import read_claim
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.workers import Offer
from pipeline.contract.settings.schema import Settings
from pipeline.influence.greedy_answers import traced_prompts
from pipeline.model import load_tokenizer, select_device
from pipeline.sharing.stage import Helper, work_folder
from pipeline.validation.proving import told_of
from pipeline.validation.retraining import Completions, Retrainer
from pipeline.validation.trainings import Trainings


class _Helping:
    def __init__(self, stage: str, settings: Settings, run: RunDir) -> None:
        self._stage, self._settings, self._run = stage, settings, run
        self.device = str(select_device(settings))
        if stage == proofs.STAGE:
            traced = told_of(read_claim(run), settings, run)
        else:
            traced = traced_prompts(
                run, settings.prompts.use_generated, load_tokenizer(run.tokenizer)
            )
        completions = Completions(traced, settings.train.batch_tokens)
        self._retrainer = Retrainer(settings, run, completions)

    def work(self, offer: Offer) -> Callable[[Helper], None] | None:
        if not offer.phase:
            return None
        folder = work_folder(self._run, self._stage, offer)
        trainings = Trainings.read(offer.phase, self._retrainer, self._run, folder)
        return lambda helper: trainings.help(helper, self._settings)


def helping(stage: str, settings: Settings, run: RunDir) -> _Helping:
    """What does parts of the stage, see `pipeline.worker.Helping`."""
    return _Helping(stage, settings, run)
