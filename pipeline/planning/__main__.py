"""Makes a plan in this process: `python -m pipeline.planning REQUEST`, a JSON object.

Prints one JSON object: {"plan": …}, or an error's record.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from pipeline.libraries import restrain_libraries

restrain_libraries()

import transformers  # noqa: E402 - after its restraint

from pipeline.contract.errors import HeadwaterError  # noqa: E402
from pipeline.contract.results.examples import read_corpus_summary  # noqa: E402
from pipeline.contract.results.plan import Plan, PlanRequest, write_plan  # noqa: E402
from pipeline.contract.run.new_run import settings_in_place  # noqa: E402
from pipeline.contract.run.run_dir import RunDir  # noqa: E402
from pipeline.contract.settings.loading import load_settings  # noqa: E402
from pipeline.contract.settings.schema import Settings  # noqa: E402
from pipeline.corpus.tokenizers import pretrained_tokenizer  # noqa: E402
from pipeline.model import highest_id  # noqa: E402
from pipeline.planning.counts import counts_of_run, expected_counts  # noqa: E402
from pipeline.planning.devices import (  # noqa: E402
    Device,
    card_of_memory,
    named_card,
    this_device,
)
from pipeline.planning.network import network_of  # noqa: E402
from pipeline.planning.plan import make_plan, plan_run  # noqa: E402


def main(request: PlanRequest) -> int:
    """Answers a request."""
    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        answer: dict[str, Any] = {"plan": asdict(_plan(request))}
    except HeadwaterError as error:
        answer = error.record()
    print(json.dumps(answer))
    return 0


def _plan(request: PlanRequest) -> Plan:
    run = RunDir(Path(request.run or Path(request.settings_file).parent))
    settings = (
        load_settings(run.settings) if request.run else settings_in_place(request.settings_file)
    )
    said = request.examples, request.prompts
    is_prepared = bool(request.run) and run.examples.exists()
    if is_prepared and not any((*said, request.gpu, request.gpu_bytes)):
        plan = plan_run(run, settings)
        write_plan(run, plan)
        return plan
    is_counted = is_prepared and not request.examples
    counts = counts_of_run(run, settings) if is_counted else expected_counts(settings, *said)
    counts = replace(counts, prompts=request.prompts or counts.prompts)
    vocabulary = read_corpus_summary(run).vocab_size if is_prepared else _vocabulary(settings)
    network = network_of(settings, vocabulary)
    return make_plan(settings, network, counts, _device(request, settings, run), run)


def _device(request: PlanRequest, settings: Settings, run: RunDir) -> Device:
    if request.gpu:
        return named_card(request.gpu, run.root)
    if request.gpu_bytes:
        return card_of_memory(request.gpu_bytes, run.root)
    return this_device(settings, run.root)


def _vocabulary(settings: Settings) -> int:
    """Of a model from scratch, whose tokenizer is not there yet; others bring their own."""
    if settings.model.init == "pretrained":
        return 1
    if settings.tokenizer.source == "train":
        return settings.tokenizer.vocab_size
    return highest_id(pretrained_tokenizer(settings)) + 1


if __name__ == "__main__":
    sys.exit(main(PlanRequest(**json.loads(sys.argv[1]))))
