"""What each stage holds in memory at once, by device, part by part.

Formulas of what influence holds are those that its passes choose their batches by: see
`influence/arguments.py`, `budgets.py` and `memory_estimate.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.contract.results.plan import Counts, Part, Peak
from pipeline.contract.settings.schema import Settings
from pipeline.influence.arguments import (
    covariance_bytes,
    curvature_bytes,
    gradient_bytes,
    resident_bytes,
    tokens_per_batch,
)
from pipeline.influence.budgets import (
    Gathering,
    gathering,
    largest_part,
    modules_at_once,
    prompt_memory,
    workspace,
)
from pipeline.influence.fitting import needs_covariances
from pipeline.influence.scoring import PER_MODULE_BYTES
from pipeline.influence.settled import rank_of
from pipeline.planning.devices import Device
from pipeline.planning.network import Network
from pipeline.training.devices import Team, team_for

_FLOAT_BYTES = 4
_HALF_BYTES = 2
_BASE_BYTES = {"none": 4.0, "8bit": 1.0, "4bit": 0.5}
"""Bytes of a weight of the base, as model.quantization rounds it."""
_DECOMPOSED = 5
"""Matrices that an eigendecomposition holds: the covariance twice, its vectors, two in work."""
_DOUBLE_BYTES = 8
_BLOCKS = {"cpu": 3 * 2**24, "cuda": 3 * 2**28}
"""Per-example gradients at work, see `accelerated/contractions.py`, and what is made of them."""
_CORPUS_BYTES = 24
"""Of a token: its number and its label, and its text where that is read."""

_LOADING = "loading the model"

Parts = Mapping[str, float]


@dataclass(frozen=True)
class Moment:
    """When a stage holds much, and what."""

    phase: str
    host: Parts
    device: Parts
    """Of the GPU; empty on a CPU, where all is the host's."""


@dataclass(frozen=True)
class Memory:
    """What stages hold of a network with these settings on a device."""

    settings: Settings
    network: Network
    counts: Counts
    device: Device
    libraries: int
    """Bytes of a process that has loaded what stages load."""

    @property
    def kind(self) -> str:
        """ "cpu" or "cuda"."""
        return self.device.hardware.kind

    def peaks(self, stage: str) -> tuple[Peak, Peak | None]:
        """The most that a stage holds of the host's memory, and of the GPU's."""
        moments = self.moments(stage)
        host = max((_peak(m.phase, m.host) for m in moments), key=lambda peak: peak.bytes)
        if self.kind == "cpu":
            return host, None
        return host, max((_peak(m.phase, m.device) for m in moments), key=lambda peak: peak.bytes)

    def moments(self, stage: str) -> list[Moment]:
        """When a stage holds much, in the order in which it does."""
        return [self.moment(_LOADING, {"weights": self.weights}, {}), *_MOMENTS[stage](self)]

    def gathering(self, rank: int | None = None) -> Gathering:
        """How prompts share passes; `rank`: of their gradients, None = as the settings say."""
        chosen = self.settings.scores
        return gathering(
            self.kind,
            self.prompt_memory(),
            max(1, self.counts.prompts),
            self.modules_at_once,
            self.rank if rank is None else rank,
            chosen.query_batch_size,
            chosen.query_gradient_accumulation_steps,
        )

    @property
    def team(self) -> Team:
        """The processes of a training.

        Raises:
            SettingsError: there are no devices for them.
        """
        gpus = self.device.hardware.cards if self.kind == "cuda" else 0
        return team_for(self.settings, self.kind, gpus)

    @property
    def modules_at_once(self) -> Sequence[tuple[int, int]]:
        """[O, I] of the modules whose scores the device computes at the same time."""
        parts = self.settings.scores.module_partitions
        return modules_at_once(self.kind, self.network.shapes, parts)

    @property
    def rank(self) -> int:
        """Of compressed prompt gradients; 0 = uncompressed."""
        return rank_of(self.settings)

    def prompt_memory(self) -> int:
        """Bytes for prompts' gradients."""
        longest = self.settings.data.max_tokens
        strategies = self.settings.factors.strategies
        held = max(resident_bytes(self.modules_at_once, strategy) for strategy in strategies)
        least = longest * self.network.token_bytes(longest)
        return prompt_memory(self.kind, self.free, held, least)

    @property
    def free(self) -> int:
        """Bytes of the device with the model on it."""
        taken = 0 if self.kind == "cuda" else self.libraries
        return max(0, self.device.hardware.capacity - int(self.weights) - taken)

    @property
    def weights(self) -> float:
        """Bytes of the model as influence loads it."""
        base = _BASE_BYTES[self.settings.model.quantization]
        return base * self.network.parameters

    def batch(self, wanted: int, held: float = 0) -> float:
        """Bytes of a batch of examples; see `InfluenceAnalyzer.tokens_per_batch`."""
        longest = self.counts.longest
        each = self.network.token_bytes(longest)
        room = max(0, self.free - int(held))
        tokens = wanted * longest or tokens_per_batch(self.kind, room, each, longest)
        return min(tokens, self.counts.tokens) * each

    def moment(self, phase: str, at_work: Parts, host: Parts) -> Moment:
        """What is at work is on the device, where there is one."""
        always = {"libraries": self.libraries, "corpus": _CORPUS_BYTES * self.counts.tokens}
        if self.kind == "cpu":
            return Moment(phase, {**always, **host, **at_work}, {})
        if phase == _LOADING:  # on the host first
            return Moment(phase, {**always, **at_work}, at_work)
        return Moment(phase, {**always, **host}, at_work)


def _peak(phase: str, parts: Parts) -> Peak:
    found = (Part(what, round(taken)) for what, taken in parts.items() if taken >= 1)
    return Peak(phase, tuple(sorted(found, key=lambda part: -part.bytes)))


def _train(memory: Memory) -> Iterator[Moment]:
    chosen, network = memory.settings.train, memory.network
    trained = _FLOAT_BYTES * network.trained
    tokens = min(max(chosen.batch_tokens, memory.counts.longest), memory.counts.tokens)
    batch: float = tokens * network.token_bytes(memory.counts.longest)
    if chosen.gradient_checkpointing:  # of one layer at a time, and what goes in of every layer
        config = network.model.config.get_text_config()
        kept = _FLOAT_BYTES * config.hidden_size * config.num_hidden_layers
        batch = batch / config.num_hidden_layers + tokens * kept
    halves = memory.device.has_bfloat16 and chosen.precision == "auto"
    count = memory.team.count
    copies = count if memory.kind == "cpu" else 1  # on the device
    batch *= copies / count  # which they share
    whole = copies / count if chosen.shard else copies
    exchanged = trained if count > 1 and not chosen.shard else 0
    at_work = {
        "weights": whole * memory.weights,
        "gradients": whole * trained,
        "gradients, while exchanged": copies * exchanged,
        "layers, while gathered": copies * _gathered(network) if chosen.shard else 0,
        "optimiser (two moments)": whole * 2 * trained,
        "a batch": batch / 2 if halves else batch,
        "weights in bfloat16": whole * _HALF_BYTES * network.parameters if halves else 0,
    }
    own = memory.libraries + _CORPUS_BYTES * memory.counts.tokens
    further = (count - 1) * own
    yield memory.moment("optimiser step", at_work, {"further processes": further})
    if count > 1 and memory.kind == "cuda":
        loading = {"weights of all processes": count * memory.weights, "further processes": further}
        yield memory.moment("loading by all processes", {}, loading)


def _gathered(network: Network) -> float:
    """Bytes of what FSDP holds whole at a time: weights and gradients of two layers and of the
    vocabulary."""
    layers: int = network.model.config.get_text_config().num_hidden_layers
    layer = (network.parameters - network.vocabulary) / layers
    return 2 * _FLOAT_BYTES * (2 * layer + network.vocabulary)


def _factors(memory: Memory) -> Iterator[Moment]:
    chosen, shapes = memory.settings.factors, memory.network.shapes
    for strategy in chosen.strategies:
        if needs_covariances(strategy):
            yield from _covariances(memory, strategy)
        squares = curvature_bytes(shapes, "diagonal") if strategy in ("ekfac", "diagonal") else 0
        if not squares:
            continue
        bases = covariance_bytes(shapes) if strategy == "ekfac" else 0
        held = (bases + squares) / chosen.lambda_module_partitions
        at_work = {
            "weights": memory.weights,
            "eigenvectors": bases / chosen.lambda_module_partitions,
            "Lambda": squares / chosen.lambda_module_partitions,
            "a batch": memory.batch(chosen.batch_size, held),
            "gradients at work": _BLOCKS[memory.kind],
        }
        # Kronfluence reads all of them, and copies those of the modules at work
        yield memory.moment(f"{strategy} lambda", at_work, {"eigenvectors as read": bases})


def _covariances(memory: Memory, strategy: str) -> Iterator[Moment]:
    chosen, shapes = memory.settings.factors, memory.network.shapes
    whole = covariance_bytes(shapes)
    part = whole / chosen.covariance_module_partitions
    yield memory.moment(
        f"{strategy} covariance",
        {
            "weights": memory.weights,
            "covariances": part,
            "a batch": memory.batch(chosen.batch_size, part),
        },
        {"covariances, while saved": part} if memory.kind == "cuda" else {},
    )
    widest = max(max(shape) for shape in shapes)
    yield memory.moment(
        f"{strategy} eigendecomposition",
        {
            "weights": memory.weights,
            "a matrix in float64": _DECOMPOSED * _DOUBLE_BYTES * widest**2,
        },
        {"covariances": whole, "eigenvectors": whole},
    )


def _scores(memory: Memory) -> Iterator[Moment]:
    chosen, shapes = memory.settings.scores, memory.network.shapes
    gathered = memory.gathering()
    part = largest_part(shapes, chosen.module_partitions)
    kept = gathered.at_once * gathered.batches * gradient_bytes(part, memory.rank)
    moving = workspace(gathered.at_once, shapes)
    counts = memory.counts
    scores = _FLOAT_BYTES * counts.prompts * counts.examples
    by_module = scores * len(shapes) if scores * len(shapes) <= PER_MODULE_BYTES else scores
    for strategy in memory.settings.factors.strategies:
        whole = curvature_bytes(shapes, strategy)
        resident = resident_bytes if memory.kind == "cuda" else curvature_bytes
        held = resident(part, strategy) + kept + moving
        at_work = {
            "weights": memory.weights,
            "curvature": resident(part, strategy),
            "prompts' gradients": kept,
            "a batch of prompts": moving,
            "a batch": memory.batch(chosen.batch_size, held),
            "gradients at work": _BLOCKS[memory.kind],
        }
        copies = {
            "curvature as read": whole,
            "Lambda": whole - resident(shapes, strategy),
        }
        host = {**copies, "scores": 2 * by_module}
        yield memory.moment(f"{strategy} scores", at_work, host)


def _generate(memory: Memory) -> Iterator[Moment]:
    config = memory.network.model.config.get_text_config()
    tokens = memory.settings.generate.batch_tokens
    keys = 2 * _FLOAT_BYTES * config.hidden_size * config.num_hidden_layers
    at_work = {
        "weights": memory.weights,
        "keys and values": tokens * keys,
        "logits": _FLOAT_BYTES * tokens * config.vocab_size,
    }
    yield memory.moment("answers", at_work, {})


_MOMENTS: dict[str, Callable[[Memory], Iterator[Moment]]] = {
    "train": _train,
    "factors": _factors,
    "scores": _scores,
    "generate": _generate,
}
