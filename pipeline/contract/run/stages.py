"""The stages: their order, what each reads, and what a change makes stale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from os.path import normpath
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.contract.errors import UsageError
from pipeline.contract.files import read_object

if TYPE_CHECKING:  # the dashboard's first paint does not wait for pydantic
    from pipeline.contract.settings.schema import Settings


_MODEL = ("model.init", "model.preset", "model.name", "model.trained", "model.quantization")


def _no_files(_settings: Settings) -> Sequence[str]:
    return ()


def _corpus_files(settings: Settings) -> Sequence[str]:
    data = settings.data
    template = [data.chat_template] if data.has_template_file else []
    held_out = [data.held_out] if data.held_out else []
    return [*([data.path] if data.source == "local" else []), *template, *held_out]


def _models(settings: Settings) -> Sequence[str]:
    """Local folders of models that training reads."""
    chosen = settings.model
    named = [chosen.name, chosen.trained] if chosen.init == "pretrained" else []
    local = [name for name in named if Path(name).is_absolute()]
    bases = [] if chosen.name else map(adapters_base, map(Path, local))
    return [*local, *(normpath(base) for base in bases if Path(base).is_absolute())]


def adapters_base(folder: Path) -> str:
    """What an adapter's folder says of the model that it sits on; "" where it says nothing, or is
    none."""
    named = None
    with suppress(OSError):  # a disk that is away
        named = (read_object(folder / "adapter_config.json") or {}).get("base_model_name_or_path")
    return named if isinstance(named, str) else ""


def _models_and_tokenizer(settings: Settings) -> Sequence[str]:
    source = settings.tokenizer.source
    return [*_models(settings), *([source] if Path(source).is_absolute() else [])]


@dataclass(frozen=True)
class Stage:
    """A step of the pipeline, run as a process of its own."""

    name: str
    title: str
    needs: tuple[str, ...]
    settings: tuple[str, ...]
    """Sections, or section.key, that change what this stage writes."""
    uses: tuple[str, ...] = ()
    """Stages whose results it shows where there are any that are up to date."""
    input_files: tuple[str, ...] = ()
    """Files of the run's folder that it reads and no stage writes."""
    outside_files: Callable[[Settings], Sequence[str]] = _no_files
    """Local files and folders outside the run that it reads; they need not exist."""
    models: Callable[[Settings], Sequence[str]] = _no_files
    """Of a stage that fits the corpus to the model: the folders of models and tokenizers, so that
    no later stage meets another model under the same name."""
    knows_its_files: bool = False
    """Whether it finds out itself which of its results are of outside files that have changed: the
    others it keeps."""
    other_folders: tuple[str, ...] = ()
    """Folders other than <stage>/ that this stage alone writes, as globs below the run."""
    kept_folders: tuple[str, ...] = ()
    """Likewise, but folders that stay when it starts anew."""
    appended: tuple[str, ...] = ()
    """Files of the run's folder to which it appends and which stay when it starts anew."""
    scratch: tuple[str, ...] = ()
    """Names in <stage>/ that belong to processes which use its results."""
    writes_corpus: bool = False
    """Whether it writes the examples and the tokenizer; where these stay the same, as they do for
    new prompts, it keeps them."""
    corpus_only: bool = False
    """Of the corpus stage it reads the examples and the tokenizer, not the prompts: new prompts
    leave it up to date, and so does a corpus stage that ran again and wrote the very same."""
    prompts_only: tuple[str, ...] = ()
    """Of its settings, those that change only the prompts that it writes."""
    makes: str = "results"
    """What it writes, in a word or two: "no rankings yet"."""
    does: str = ""
    """One sentence for a person who has not seen it before."""
    verb: str = ""
    """The verb of the command line that runs it alone, where it has one of its own."""

    def command(self, run: str) -> str:
        """The command that runs the stage in a run of that name."""
        verb = f"{self.verb} {run}" if self.verb else f"run {self.name} --run {run}"
        return f"headwater {verb}"


STAGES: dict[str, Stage] = {
    stage.name: stage
    for stage in (
        Stage(
            "prepare",
            "read, clean and tokenize the corpus",
            needs=(),
            settings=("run.seed", "data", "tokenizer", "prompts", *_MODEL, "lora"),
            prompts_only=("prompts",),
            input_files=("prompts.jsonl",),
            outside_files=_corpus_files,
            models=_models_and_tokenizer,
            writes_corpus=True,
            makes="corpus",
            does="Cuts the corpus into training examples and finds near-duplicates.",
        ),
        Stage(
            "train",
            "train the model",
            needs=("prepare",),
            settings=("run.seed", *_MODEL, "lora", "train"),
            outside_files=_models,
            corpus_only=True,
            makes="trained model",
            does="Trains the model, or an adapter on it, and keeps the base beside it.",
        ),
        Stage(
            "factors",
            "fit the curvature",
            needs=("prepare", "train"),
            settings=("run.seed", "run.tf32", "modules", "factors"),
            other_folders=("influence/factors_*",),
            scratch=("workers",),
            corpus_only=True,
            makes="factors",
            does="Measures the curvature of the trained model's loss, which scores need.",
        ),
        Stage(
            "scores",
            "score every example on every prompt",
            needs=("prepare", "train", "factors"),
            settings=("run.seed", "run.tf32", "modules", "factors", "scores", "prompts"),
            other_folders=("influence/scores_*",),
            scratch=("workers",),
            makes="rankings",
            does="Ranks the training examples by how much each lowers a prompt's loss.",
        ),
        Stage(
            "inspect",
            "draw the spectra",
            needs=("factors",),
            settings=("inspect",),
            makes="spectra",
            does="Reads the curvature's eigenvalues: in how many directions it is steep.",
        ),
        Stage(
            "generate",
            "let both models answer the prompts",
            needs=("prepare", "train"),
            settings=("run.seed", "generate"),
            other_folders=("generated",),
            makes="generated answers",
            does="Lets the base and the trained model complete every prompt.",
        ),
        Stage(
            "evaluate",
            "compare the answers",
            needs=("prepare", "train", "generate"),
            settings=("run.seed",),
            uses=("scores",),
            other_folders=("comparison_results",),
            makes="answers",
            does="Compares both models' answers, and finds the examples behind them.",
        ),
        Stage(
            "benchmark",
            "answer public benchmarks",
            needs=("prepare", "train"),
            settings=("run.seed", "benchmark"),
            outside_files=lambda s: [s.benchmark.data] if s.benchmark.data != "hub" else [],
            kept_folders=("deepeval_results/run_*",),
            corpus_only=True,
            scratch=("workers",),
            makes="benchmark scores",
            does="Lets both models answer public benchmarks, and compares their scores.",
        ),
        Stage(
            "index",
            "make new prompts quick to trace",
            needs=("prepare", "train", "factors"),
            settings=("run.tf32", "modules", "factors", "scores", "index.features"),
            outside_files=lambda s: s.index.added,
            scratch=("asked", "workers"),
            knows_its_files=True,
            corpus_only=True,
            makes="index",
            verb="index",
            does="Keeps a few numbers of every example, to answer new prompts in seconds.",
        ),
        Stage(
            "validate",
            "prove the rankings by retraining",
            needs=("prepare", "train", "factors", "scores"),
            settings=("run.seed", "model.recipe_known", "validation"),
            outside_files=lambda s: s.validation.outside,
            appended=("retrainings.jsonl",),
            scratch=("workers",),
            makes="experiments",
            verb="validate",
            does="Trains again without a ranking's first examples: do answers change?",
        ),
        Stage(
            "prove",
            "prove which examples taught an answer",
            needs=("prepare", "train", "scores"),
            settings=("run.seed", "model.recipe_known"),
            input_files=("prove.json",),
            appended=("retrainings.jsonl", "proofs.jsonl"),
            scratch=("workers",),
            makes="proof",
            does="Trains again without some examples: does the answer they taught change?",
        ),
        Stage(
            "report",
            "write the report",
            needs=(),
            settings=(),
            uses=(
                "prepare",
                "train",
                "factors",
                "scores",
                "inspect",
                "evaluate",
                "benchmark",
                "validate",
                "prove",
            ),
            other_folders=("combined_evaluation_results",),
            makes="report",
            verb="report",
            does="Writes all that the run has found on one page, in Markdown and HTML.",
        ),
    )
}

_RECIPE = {"train": (), "validate": ("train",), "prove": ("train",)}
"""Stages for which [train] is another thing where a model was trained elsewhere, and what they read
beyond their own settings then."""


def settings_read(stage: str, settings: Settings) -> tuple[str, ...]:
    """The settings that change what the stage writes, in a run with these settings.

    A model that was trained elsewhere is not trained: [train] is then the recipe by which validate
    trains it again.
    """
    own = STAGES[stage].settings
    if not settings.model.trained or stage not in _RECIPE:
        return own
    return (*(name for name in own if name not in ("train", "lora")), *_RECIPE[stage])


CORPUS_STAGE = next(name for name, stage in STAGES.items() if stage.writes_corpus)

GROUPS: dict[str, tuple[str, ...]] = {
    "all": (
        "prepare",
        "train",
        "factors",
        "scores",
        "inspect",
        "generate",
        "evaluate",
        "report",
    ),
    "analysis": ("prepare", "train", "factors", "scores", "inspect"),
    "custom-eval": ("generate", "evaluate"),
    "deepeval-eval": ("benchmark",),
}

_COMPARING = ("generate", "evaluate")


def usual_stages(settings: Settings) -> tuple[str, ...]:
    """The stages of "all" in a run with these settings; the others run when they are asked for.

    A model that was trained elsewhere from nobody knows what has nothing to be compared with.
    """
    model = settings.model
    has_base = not model.trained or model.name or adapters_base(Path(model.trained))
    return tuple(name for name in GROUPS["all"] if has_base or name not in _COMPARING)


def require_stages(names: tuple[str, ...]) -> None:
    """Checks that all are stages or groups of them.

    Raises:
        UsageError: one is neither.
    """
    for name in names:
        if name not in STAGES and name not in GROUPS:
            valid = ", ".join([*GROUPS, *STAGES])
            raise UsageError(f"there is no stage {name!r}; valid: {valid}")


def expand(names: tuple[str, ...], settings: Settings) -> tuple[str, ...]:
    """Resolves stage and group names to stage names, in pipeline order, each once.

    Raises:
        UsageError: for a name that is neither.
    """
    require_stages(names)
    chosen: set[str] = set()
    for name in names:
        chosen.update(usual_stages(settings) if name == "all" else GROUPS.get(name, (name,)))
    return tuple(name for name in STAGES if name in chosen)


def downstream(stage: str, prompts_only: bool = False) -> set[str]:
    """The stage and every stage that reads, through others or not, what it writes; `prompts_only`:
    or what it writes for other prompts, the corpus being the same."""
    reached = {stage}
    for name, spec in STAGES.items():  # in pipeline order: what is needed comes first
        apart = {stage} if prompts_only and spec.corpus_only else set()
        if reached & ({*spec.needs, *spec.uses} - apart):
            reached.add(name)
    return reached


def upstream(stage: str) -> set[str]:
    """Every stage that the stage needs, through others or not."""
    needs = STAGES[stage].needs
    return set(needs).union(*(upstream(name) for name in needs))


def stages_reading(section: str, key: str) -> tuple[str, ...]:
    """The stages that a change of a setting makes stale, in pipeline order."""
    stale: set[str] = set()
    for name, spec in STAGES.items():
        if section in spec.settings or f"{section}.{key}" in spec.settings:
            stale |= downstream(name, prompts_only=section in spec.prompts_only)
    return tuple(name for name in STAGES if name in stale)
