"""How much arithmetic the stages do, how often they go through the data, and what they write.

Shape legend: N tokens of all training examples, T of one; O outputs and I inputs of a module; Q
prompts of a pass.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pipeline.contract.results.scores import GRADIENT_COSINE, IDENTITY
from pipeline.influence.arguments import covariance_bytes, curvature_bytes
from pipeline.influence.fitting import needs_covariances
from pipeline.influence.scoring import PER_MODULE_BYTES, scores_phase
from pipeline.planning.devices import Speed
from pipeline.planning.memory import Memory

_FLOAT_BYTES = 4
_EIGH = 9
"""Operations of a symmetric eigendecomposition, in units of the width cubed."""


@dataclass(frozen=True)
class Work:
    """Floating-point operations, by what they are done in."""

    network: float = 0
    """In the network's forward and backward passes."""
    products: float = 0
    """In products of gradients and activations, in float32 or TF32."""
    double: float = 0
    """In float64."""
    passes: float = 0
    """Over all training examples."""

    def __add__(self, other: Work) -> Work:
        return Work(
            self.network + other.network,
            self.products + other.products,
            self.double + other.double,
            self.passes + other.passes,
        )

    def seconds(self, speed: Speed, halves: bool, tensor: bool) -> float:
        """On such a device; `halves`: the network in bfloat16; `tensor`: products in TF32."""
        plain = speed.tensor if tensor else speed.float32
        network = speed.bfloat16 if halves else plain
        return self.network / network + self.products / plain + self.double / speed.float64


Part = tuple[str, Work]
"""A phase's name, and some of its work."""


def work(stage: str, memory: Memory) -> Work:
    """Of one stage."""
    return sum(by_phase(stage, memory).values(), Work())


def by_phase(stage: str, memory: Memory) -> dict[str, Work]:
    """Of each phase of a stage, by the names that its progress events have."""
    phases = {"train": _train, "factors": _factors, "scores": _scores, "generate": _generate}
    found: dict[str, Work] = {}
    for phase, part in phases[stage](memory):
        found[phase] = found.get(phase, Work()) + part
    return found


def disk(stage: str, memory: Memory) -> int:
    """Bytes that a stage writes."""
    settings, network, counts = memory.settings, memory.network, memory.counts
    if stage == "train":
        trained = _FLOAT_BYTES * network.trained
        # the base, the result, and of every checkpoint two moments beside the weights, which a
        # sharded training writes twice
        each = (4 if settings.train.shard else 3) * trained
        return round(memory.weights) + trained + settings.train.keep_checkpoints * each
    if stage == "factors":
        return sum(_factor_files(memory, strategy) for strategy in settings.factors.strategies)
    if stage == "scores":
        each = _FLOAT_BYTES * counts.prompts * counts.examples
        by_module = each * len(network.shapes)
        kept = by_module if by_module <= PER_MODULE_BYTES else each
        return len(_scored(memory)) * (kept + 2 * each)
    return 0


def _factor_files(memory: Memory, strategy: str) -> int:
    shapes = memory.network.shapes
    whole = curvature_bytes(shapes, strategy)
    return whole + (covariance_bytes(shapes) if needs_covariances(strategy) else 0)


def _scored(memory: Memory) -> list[str]:
    strategies: list[str] = list(memory.settings.factors.strategies)
    cosine = GRADIENT_COSINE in memory.settings.scores.second_opinions
    return list(dict.fromkeys([*strategies, *([IDENTITY] if cosine else [])]))


def _pass(memory: Memory, backward: float = 1, share: float = 1) -> Work:
    """The network over all examples, forward and `backward` times as much."""
    config = memory.network.model.config.get_text_config()
    counts = memory.counts
    length = counts.tokens / max(1, counts.examples)
    each = 2 * memory.network.multiplied
    each += 4 * length * config.hidden_size * config.num_hidden_layers  # attention
    return Work(network=(1 + backward) * each * counts.tokens * share, passes=share)


def _train(memory: Memory) -> Iterator[Part]:
    chosen, counts = memory.settings.train, memory.counts
    epochs = chosen.epochs
    if chosen.max_steps:
        tokens = chosen.max_steps * chosen.batch_tokens * chosen.gradient_accumulation
        epochs = tokens / max(1, counts.tokens)
    backward = 2 * (1 + chosen.gradient_checkpointing / 2)
    yield "training", _pass(memory, backward, epochs)


def _factors(memory: Memory) -> Iterator[Part]:
    chosen, counts, shapes = memory.settings.factors, memory.counts, memory.network.shapes
    share = _share(chosen.covariance_max_examples, counts.examples)
    if strategy := next(filter(needs_covariances, chosen.strategies), None):  # others copy them
        squares = sum(outputs**2 + inputs**2 for outputs, inputs in shapes)
        cubes = sum(outputs**3 + inputs**3 for outputs, inputs in shapes)
        phase = f"{strategy} covariance"
        yield phase, _repeated(_pass(memory, share=share), chosen.covariance_module_partitions)
        yield phase, Work(products=squares * counts.tokens * share)
        yield f"{strategy} eigendecomposition", Work(double=_EIGH * cubes)
    share = _share(chosen.lambda_max_examples, counts.examples)
    for fitted in chosen.strategies:
        if fitted in ("ekfac", "diagonal"):
            phase, products = f"{fitted} lambda", _per_example(memory, fitted)
            yield phase, _repeated(_pass(memory, share=share), chosen.lambda_module_partitions)
            yield phase, Work(products=share * products * counts.examples)


def _scores(memory: Memory) -> Iterator[Part]:
    counts, shapes = memory.counts, memory.network.shapes
    gathered = memory.gathering()
    together = gathered.at_once * gathered.batches
    weights = sum(outputs * inputs for outputs, inputs in shapes)
    turning = sum(4 * o * i * (o + i) for o, i in shapes)
    for strategy in _scored(memory):
        turned = strategy in ("ekfac", "kfac")
        every = _repeated(_pass(memory), gathered.passes)
        products = gathered.passes * counts.tokens * 2 * weights
        if memory.rank and memory.rank < min(map(min, shapes)):
            ranks = 2 * memory.rank * sum(o + i for o, i in shapes)
            products = gathered.passes * min(products, counts.tokens * ranks * together)
        else:
            products += gathered.passes * counts.examples * 2 * together * weights
        phase, own = scores_phase(strategy), f"{strategy} self-influence"
        yield phase, _repeated(every, memory.settings.scores.module_partitions)
        yield phase, Work(products=products + turned * counts.prompts * turning)
        yield own, _pass(memory)
        yield own, Work(products=_per_example(memory, strategy) * counts.examples)


def _generate(memory: Memory) -> Iterator[Part]:
    answered = memory.counts.prompts * memory.settings.generate.max_new_tokens
    yield "answers", Work(network=2 * 2 * memory.network.multiplied * answered)  # both models


def _per_example(memory: Memory, strategy: str) -> float:
    """Operations to form an example's gradient, turned where the strategy turns it."""
    counts = memory.counts
    length = counts.tokens / max(1, counts.examples)
    total = 0.0
    for outputs, inputs in memory.network.shapes:
        total += 2 * length * outputs * inputs
        if strategy in ("ekfac", "kfac"):
            total += 2 * outputs**2 * min(length, inputs) + 2 * inputs**2 * min(length, outputs)
    return total


def _share(most: int, examples: int) -> float:
    return min(most or examples, examples) / max(1, examples)


def _repeated(work: Work, times: int) -> Work:
    return Work(*(times * one for one in (work.network, work.products, work.double, work.passes)))
