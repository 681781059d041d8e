"""Every causal language model of the installed transformers, made tiny: right, refused or wrong.

    python -m bench.architectures [NAME ...]

A line for each: its identity scores compared with autograd's in float64, one example at a time
without padding; or why it is refused by its configuration or by the rehearsal. Whatever is wrong
without being refused ends the program with exit code 1.
"""

from __future__ import annotations

import logging
import signal
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from transformers import CONFIG_MAPPING, AutoModelForCausalLM, PretrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

from bench.tiny_configs import VOCABULARY, tiny
from pipeline.contract.errors import HeadwaterError
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.schema import Settings
from pipeline.corpus.examples import TokenDataset
from pipeline.corpus.tokenizers import train_tokenizer
from pipeline.influence.analyzer import InfluenceAnalyzer
from pipeline.influence.coverage import examine
from pipeline.influence.experts import fused_weight, is_fused, join_experts, separate_experts
from pipeline.influence.fitting import fit
from pipeline.influence.modules import resolve_modules
from pipeline.influence.scoring import pairwise_scores, sum_modules
from pipeline.pretrained.kinds import require_text_decoder
from pipeline.rehearsal.rehearse import rehearse, rows_of

SECONDS = 60
TEXT = "The ferryman mends the blue boat. Old Marta counts seven letters at dawn. " * 2
FLOAT32 = ("xglm", "inkling2_text")
"""Those whose own code fails in float64."""


class TooLong(Exception):
    """A model took longer than `SECONDS` of the processor."""


def main(names: Sequence[str]) -> int:
    """Prints a line for each architecture, then how many ended how."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    torch.set_num_threads(1)
    counts: Counter[str] = Counter()
    for name in names or sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES):
        with redirect_stdout(StringIO()):  # the passes' notes
            verdict = told(name)
        counts[verdict.partition(":")[0]] += 1
        print(f"{name:28}{verdict}", flush=True)
    print(dict(counts))
    return 1 if counts["WRONG"] else 0


def told(name: str) -> str:
    """What becomes of one architecture: with all modules or, if those are refused, with a group."""
    every = tried(name, "all")
    if not every.startswith("refused by the rehearsal") and "modules.group" not in every:
        return every
    for group in ("mlp", "attention"):
        verdict = tried(name, group)
        if verdict.startswith("right"):
            return f"{verdict.replace('right', f'right with {group} alone', 1)}; with all {every}"
    return every


def tried(name: str, group: str) -> str:
    """What becomes of one architecture with one group of modules."""
    settings = chosen(group)
    try:
        with at_most(SECONDS), tempfile.TemporaryDirectory() as folder:
            try:
                require_text_decoder(CONFIG_MAPPING[name](), name)
                config = tiny(name)
                examine(config, settings.modules)
                model = made(config)
            except HeadwaterError as error:
                return f"refused by prepare: {error.message}"
            try:
                return compared(model, settings, RunDir(Path(folder)))
            except HeadwaterError as error:
                return f"refused by the rehearsal: {error.message}"
    except TooLong:
        return f"too slow: not done after {SECONDS} s"
    # a configuration with other sizes than are known here may be impossible in any way
    except Exception as error:
        return f"not made: {type(error).__name__}: {str(error).strip()[:120]!r}"


def made(config: PretrainedConfig) -> PreTrainedModel:
    """Random weights, unless there are too many."""
    with torch.device("meta"):
        size = sum(p.numel() for p in _from(config).parameters())
    if size > 2e7:
        raise ValueError(f"{size:,} parameters")
    torch.manual_seed(0)
    model = _from(config)
    model.train(False)
    return model


def _from(config: PretrainedConfig) -> PreTrainedModel:
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    return model


def chosen(group: str) -> Settings:
    """A group of modules, identity, float64 where there is a choice."""
    kinds = ("query_gradient_svd_dtype", "per_sample_gradient_dtype", "precondition_dtype")
    scores: dict[str, Any] = dict.fromkeys((*kinds, "score_dtype"), "float64")
    return Settings.model_validate(
        {
            "data": {"source": "demo"},
            "run": {"device": "cpu"},
            "modules": {"group": group},
            "factors": {"strategies": ["ekfac"]},
            "scores": {**scores, "batch_size": 2, "query_batch_size": 2},
        }
    )


def compared(model: PreTrainedModel, settings: Settings, run: RunDir) -> str:
    """Rehearses, then compares identity scores with autograd's."""
    events = EventWriter(run.events, "train")
    tokenizer = train_tokenizer([TEXT], VOCABULARY)
    tokens = tokenizer(TEXT, return_tensors="np")["input_ids"][0]
    texts = TokenDataset([tokens])
    rehearse(settings, run, events, model, tokenizer, texts)
    exact = model.config.model_type not in FLOAT32
    model = model.double() if exact else model
    if any(is_fused(module) for module in model.modules()):  # fused products take no float64
        model.set_experts_implementation("eager")
    seen, asked = rows_of(texts, None)
    examples, prompts = (
        TokenDataset(
            [row["input_ids"].numpy().astype("int32") for row in rows],
            [row["labels"].numpy().astype("int32") for row in rows],
        )
        for rows in (seen, asked)
    )
    names = traced(model, settings)
    expected = gradients(model, names, prompts) @ gradients(model, names, examples).T
    analyzer = InfluenceAnalyzer(settings, run, events, model)
    fit(analyzer, "identity", examples)
    found = sum_modules(pairwise_scores(analyzer, "identity", prompts, examples)).double()
    off = float((found - expected).abs().max() / expected.abs().max())
    # the sum of the modules' scores is kept in float32
    right = off < (1e-6 if exact else 1e-4)
    verdict = f"right: to {off:.0e}" if right else f"WRONG: off by {off:.1e}"
    return f"{verdict}, {len(analyzer.modules)} modules"


def traced(model: PreTrainedModel, settings: Settings) -> list[str]:
    """Names of the parameters that the run traces."""
    separate_experts(model)
    modules = resolve_modules(model, settings.modules)
    fused = {name: fused_weight(model, name) for name in modules}
    join_experts(model)
    names = {id(module): name for name, module in model.named_modules()}
    found: dict[str, None] = {}
    known = dict(model.named_parameters())
    for module in modules:
        expert = fused[module]
        stem = f"{names[id(expert[0])]}.{expert[1]}" if expert else module
        kept = (stem, f"{stem}_bias") if expert else (f"{stem}.weight", f"{stem}.bias")
        found.update(dict.fromkeys(name for name in kept if name in known))
    return list(found)


def gradients(model: PreTrainedModel, names: Sequence[str], rows: TokenDataset) -> Tensor:
    """Per-example gradients [rows, all weights] by autograd, from the model's own logits."""
    weights = [model.get_parameter(name).requires_grad_(True) for name in names]
    found = []
    for index in range(len(rows)):
        row = rows[index]
        ids = row["input_ids"][None]
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits
        loss = functional.cross_entropy(logits[0, :-1], row["labels"][1:], reduction="sum")
        parts = torch.autograd.grad(loss, weights)
        found.append(torch.cat([part.flatten() for part in parts]))
    return torch.stack(found)


@contextmanager
def at_most(seconds: int) -> Iterator[None]:
    """Ends what takes longer."""

    def end(*_: object) -> None:
        raise TooLong

    signal.signal(signal.SIGPROF, end)  # counts the processor's time: others may be using it
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
