"""Another worker's part in index: it computes chunks of features."""

from __future__ import annotations

from collections.abc import Callable

from pipeline.ask.chunks import Chunks
from pipeline.ask.indexing import open_store, run_projection
from pipeline.ask.parts import Part, parts
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.workers import Offer
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import TokenDataset
from pipeline.model import load_traced
from pipeline.sharing.stage import Helper, work_folder


class _Helping:
    def __init__(self, stage: str, settings: Settings, run: RunDir) -> None:
        self._stage, self._settings, self._run = stage, settings, run
        model = load_traced(settings, run.model)
        self.device = str(model.device)
        self._projection = run_projection(settings, run, model)
        self._parts = {part.phase: part for part in parts(settings, run)}

    def work(self, offer: Offer) -> Callable[[Helper], None] | None:
        part = self._parts.get(offer.phase)
        return None if part is None else self._of(part, offer)

    def _of(self, part: Part, offer: Offer) -> Callable[[Helper], None]:
        store = open_store(self._settings, self._run, part, self._projection)
        examples = TokenDataset.of_examples(self._run, part.examples)
        shared = work_folder(self._run, self._stage, offer)
        chunks = Chunks.read(part.phase, store, self._projection, examples, shared)
        return lambda helper: chunks.help(helper, self._settings)


def helping(stage: str, settings: Settings, run: RunDir) -> _Helping:
    """What does parts of the stage, see `pipeline.worker.Helping`."""
    return _Helping(stage, settings, run)
