"""How often a document that only shares the answer's form stands among the first five, with and
without a contrast.

    uv run python -m bench.contrast RUN

RUN is the folder of a finished demo run. Its prompts of one relation share a form ("… plays the");
each is set against the answer of the next prompt of its relation that has another one. A document
of the same form states another fact of the relation: with another answer, or with the same one
about somebody else. Scored by the run's first strategy, normalised.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections import Counter
from pathlib import Path

from pipeline.contract.results.examples import ids_of, read_examples, read_texts
from pipeline.contract.results.prompts import read_prompts
from pipeline.contract.results.ranks import highest_first
from pipeline.contract.results.score_file import ScoreFile
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.contract.settings.prompts import Prompt
from pipeline.corpus.examples import TokenDataset
from pipeline.influence.analyzer import InfluenceAnalyzer
from pipeline.influence.baselines import normalized
from pipeline.influence.fitting import link_factors
from pipeline.influence.greedy_answers import as_given, token_dataset
from pipeline.influence.scoring import pairwise_scores, sum_modules
from pipeline.influence.settled import settled
from pipeline.model import load_tokenizer, load_traced

TOP = 5
KINDS = (
    "states the answer",
    "same form and answer, of somebody else",
    "same form, other answer",
    "another form",
)


def main(run: RunDir) -> None:
    """Prints both shares, and those of documents that state the answer."""
    settings = load_settings(run.settings)
    strategy = settings.factors.strategies[0]
    alone = read_prompts(run)
    pairs = [(one, other) for one in alone if (other := _other(one, alone))]
    plain = [one for one, _ in pairs]
    contrasts = [one.model_copy(update={"instead": other}) for one, other in pairs]
    with tempfile.TemporaryDirectory() as folder:
        beside = RunDir(Path(folder) / "contrast")
        beside.root.mkdir()
        link_factors(run, beside, strategy)
        events = EventWriter(beside.root / "events.jsonl", "scores")
        model = load_traced(settings, run.model)
        analyzer = InfluenceAnalyzer(settled(settings, run), beside, events, model)
        tokenizer, examples = load_tokenizer(run.tokenizer), TokenDataset.of_examples(run)
        own, ids = ScoreFile(run).self_influence(strategy), ids_of(read_examples(run))
        texts = dict(zip(ids, read_texts(run), strict=True))
        for name, prompts in (("completion alone", plain), ("contrast", contrasts)):
            shutil.rmtree(beside.kronfluence_scores(strategy), ignore_errors=True)
            queries = token_dataset(as_given(prompts, tokenizer))
            raw = sum_modules(pairwise_scores(analyzer, strategy, queries, examples)).numpy()
            rows = [highest_first(row)[:TOP] for row in normalized(raw, own)]
            tops = [[ids[index] for index in row] for row in rows]
            kinds = Counter(
                _kind(prompt, one, texts[one])
                for prompt, top in zip(prompts, tops, strict=True)
                for one in top
            )
            shares = ", ".join(f"{kind} {kinds[kind] / kinds.total():.1%}" for kind in KINDS)
            print(f"{name}: {len(prompts)} prompts, of the first {TOP}: {shares}", flush=True)


def _kind(prompt: Prompt, document: str, text: str) -> str:
    if document in prompt.relevant:
        return KINDS[0]
    if _relation(document) != _relation(prompt.id):
        return KINDS[3]
    return KINDS[1 if prompt.completion.strip() in text else 2]


def _relation(name: str) -> str:
    return name.partition("-")[0]


def _other(prompt: Prompt, prompts: list[Prompt]) -> str | None:
    """The answer of the next prompt of the same relation, in a circle, that differs."""
    at = prompts.index(prompt)
    same = [
        one for one in prompts[at + 1 :] + prompts[:at] if _relation(one.id) == _relation(prompt.id)
    ]
    return next((one.completion for one in same if one.completion != prompt.completion), None)


if __name__ == "__main__":
    main(RunDir(Path(sys.argv[1])))
