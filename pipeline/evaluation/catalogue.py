"""Which benchmarks the settings choose, made ready, and which cannot be run here."""

from __future__ import annotations

from huggingface_hub import constants

from pipeline.contract.errors import DataError, HubUnreachableError, SettingsError
from pipeline.contract.settings.schema import Settings
from pipeline.evaluation.benchmarks import choice, written
from pipeline.evaluation.benchmarks.benchmark import Benchmark, Options
from pipeline.evaluation.data import BenchmarkData
from pipeline.evaluation.questions import BenchmarkQuestion
from pipeline.evaluation.sandbox import usable_wall

CLASSES: dict[str, type[Benchmark]] = {
    kind.name: kind
    for kind in (
        choice.Mmlu,
        choice.Hellaswag,
        choice.TruthfulQa,
        choice.Arc,
        choice.Boolq,
        choice.Winogrande,
        choice.Mathqa,
        choice.Logiqa,
        choice.Bbq,
        written.Gsm8k,
        written.Lambada,
        written.Drop,
        written.Squad,
        written.BigBench,
        written.Ifeval,
        written.Humaneval,
    )
}

RUNS_CODE = "it runs the code that models write; set benchmark.run_code = true to allow it"
_FAULTS_SHOWN = 5
NEEDS_JUDGE = "a paid model would have to judge its answers"


def ready(settings: Settings) -> tuple[list[Benchmark], dict[str, str]]:
    """The chosen benchmarks in the settings' order, and the skipped ones with their reasons.

    Raises:
        SettingsError: there is no such task, too many shots are asked for, or code that models
            write is to be run and nothing here could confine it.
    """
    data = BenchmarkData(settings.benchmark.data)
    tasks: dict[str, list[str]] = {}
    for entry in settings.benchmark.chosen:
        name, _, task = entry.partition("/")
        tasks.setdefault(name, []).append(task)
    chosen, skipped = [], {}
    for name, named in tasks.items():
        if name not in CLASSES:
            skipped[name] = NEEDS_JUDGE
            continue
        if name == written.Humaneval.name:
            if not settings.benchmark.run_code:
                skipped[name] = RUNS_CODE
                continue
            usable_wall()
        options = Options(
            tasks=() if "" in named else tuple(dict.fromkeys(named)),
            shots=settings.benchmark.shots,
            limit=settings.benchmark.limit,
            seed=settings.run.seed,
        )
        chosen.append(CLASSES[name](data, options))
    if not chosen:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped.items())
        able = ", ".join(name for name in CLASSES if name != written.Humaneval.name)
        raise SettingsError(f"benchmark.chosen: none of them can be run: {reasons}; able: {able}")
    return chosen, skipped


def all_questions(benchmarks: list[Benchmark]) -> dict[str, list[BenchmarkQuestion]]:
    """The questions by benchmark, read before any model is loaded.

    Raises:
        DataError: files, columns or examples are missing, or wrong; names the first few.
        HubUnreachableError: the hub does not answer.
    """
    faults: dict[str, DataError | HubUnreachableError] = {}
    questions: dict[str, list[BenchmarkQuestion]] = {}
    for benchmark in benchmarks:
        questions[benchmark.name] = []
        for task in benchmark.named_tasks():
            try:
                questions[benchmark.name] += benchmark.limited(task)
            except HubUnreachableError as error:
                if not constants.HF_HUB_OFFLINE:
                    raise  # every further task would wait for an answer too
                faults.setdefault(error.message, error)
            except DataError as error:
                faults.setdefault(error.message, error)
    if faults:
        hints = list(dict.fromkeys(error.hint for error in faults.values() if error.hint))
        shown, more = list(faults)[:_FAULTS_SHOWN], len(faults) - _FAULTS_SHOWN
        rest = [f"… and {more} more"] if more > 0 else []
        kind = type(next(iter(faults.values())))
        raise kind("\n".join(shown + rest), "\n  ".join(hints[:_FAULTS_SHOWN]))
    return questions
