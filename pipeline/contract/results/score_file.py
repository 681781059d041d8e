"""scores.safetensors: every example's score for every prompt, by every method and layer.

A float32 tensor [Q, N] under each method's name, NaN = missing; `layers` [Q, L, N], the parts of
the first strategy's raw scores; `self_<strategy>` [N], the examples' self-influence. How they came
about is the file's metadata. NumPy is imported with this module.

Shape legend: Q prompts, N training examples, L layers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline.contract.files import replacing
from pipeline.contract.results.common import Loaded, checked, damaged, load
from pipeline.contract.results.ranks import Scores
from pipeline.contract.results.tensors import TensorFile, open_tensors
from pipeline.contract.run.run_dir import RunDir

SIGN = "positive = proponent: more of it lowers the prompt's loss"
SCALE = (
    "prompt gradient · (curvature + damping)⁻¹ · example gradient, of losses summed over tokens "
    "in nats, not divided by the number of examples"
)
_STAGE = "scores"
_LAYERS = "layers"
_SELF = "self_"
_PLAIN_TEXT = ("default_method", "strategy", "fisher", "sign", "scale")
"""Metadata that are kept as they are; all others are JSON."""


@dataclass(frozen=True)
class ScoreMetadata:
    """How the scores came about."""

    prompts: tuple[str, ...]
    """Ids of the prompts that were scored: the rows."""
    methods: tuple[str, ...]
    """In the order in which they are shown."""
    default_method: str
    layers: tuple[int, ...]
    """Empty where there was no room to keep them apart."""
    strategy: str
    """The first one: the default method's, the layers' and the tokens'."""
    damping: float | str | None
    fisher: str
    precision: Mapping[str, str]
    """By what is computed in it."""
    modules: tuple[str, ...]
    """Tracked modules in the model's own order."""
    examples: int
    sign: str = SIGN
    scale: str = SCALE
    contrasted: tuple[int, ...] = ()
    """Rows of the prompts that are set against another completion: their scores are differences."""


class ScoreFile:
    """The file, memory-mapped: what is not looked at is never read."""

    def __init__(self, run: RunDir) -> None:
        """Opens it.

        Raises:
            MissingResultError: there is no such file.
            DamagedResultError: it is not what the stage writes; names what is wrong.
        """
        self._run = run
        self._file = open_tensors(run, _STAGE, run.scores)
        self.metadata = _metadata(run, self._file)
        for name, shape in self._shapes():
            self._require(name, shape)

    def method(self, name: str) -> Scores:
        """Scores [Q, N] by a method."""
        return self._file.floats(name)

    def scores(self, prompt: int, method: str) -> Scores:
        """Scores [N] for a prompt, by its row, by a method."""
        return self._file.floats(method, prompt)

    def layer(self, prompt: int, layer: int) -> Scores:
        """A layer's part [N] of the first strategy's raw scores for a prompt."""
        return self._file.floats(_LAYERS, prompt, self.metadata.layers.index(layer))

    def layers(self, prompt: int) -> Scores:
        """All layers' parts [L, N] of the first strategy's raw scores for a prompt."""
        return self._file.floats(_LAYERS, prompt)

    def self_influence(self, strategy: str) -> Scores:
        """The examples' self-influence [N] under a strategy.

        Raises:
            DamagedResultError: the file lacks that of this strategy.
        """
        name = f"{_SELF}{strategy}"
        self._require(name, (self.metadata.examples,))
        return self._file.floats(name)

    def forget_pages(self) -> None:
        """Lets go of the memory that looking at many scores took."""
        self._file.forget_pages()

    def _shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        metadata = self.metadata
        rows, examples = len(metadata.prompts), metadata.examples
        yield from ((name, (rows, examples)) for name in metadata.methods)
        if metadata.layers:
            yield _LAYERS, (rows, len(metadata.layers), examples)

    def _require(self, name: str, shape: tuple[int, ...]) -> None:
        path = self._run.scores
        if name not in self._file:
            raise damaged(self._run, _STAGE, path, f"there is no tensor {name}")
        if (actual := self._file.array(name).shape) != shape:
            reason = f"tensor {name} is {list(actual)}, not {list(shape)}"
            raise damaged(self._run, _STAGE, path, reason)


def load_scores(run: RunDir) -> Loaded[ScoreFile]:
    """The scores of a finished stage; the errors are those of `common.load`."""
    return load(run, _STAGE, ScoreFile)


def write_scores(
    run: RunDir,
    metadata: ScoreMetadata,
    methods: Mapping[str, Scores],
    layers: Mapping[int, Scores],
    self_influence: Mapping[str, NDArray[np.float32]],
) -> None:
    """Writes scores [Q, N] by method and by layer, and self-influence [N] by strategy."""
    from safetensors.numpy import save_file

    tensors = dict(methods)
    tensors |= {f"{_SELF}{strategy}": values for strategy, values in self_influence.items()}
    if layers:
        tensors[_LAYERS] = np.stack(list(layers.values()), axis=1)
    header = {
        name: value if name in _PLAIN_TEXT else json.dumps(value)
        for name, value in asdict(metadata).items()
    }
    with replacing(run.scores) as temporary:
        whole = {name: np.ascontiguousarray(values) for name, values in tensors.items()}
        save_file(whole, temporary, header)


def _metadata(run: RunDir, file: TensorFile) -> ScoreMetadata:
    values: dict[str, object] = {}
    for name, text in file.metadata.items():
        try:
            values[name] = text if name in _PLAIN_TEXT else json.loads(text)
        except ValueError as error:
            raise damaged(run, _STAGE, run.scores, f"{name}: {error}") from error
    return checked(run, _STAGE, run.scores, ScoreMetadata, values)
