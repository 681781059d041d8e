"""The run folder: the one place that spells a file name inside a run.

runs/<name>/
  settings.toml  prompts.jsonl  manifest.json     what was asked, copied at the start
  remarks.json                                    a person's tags and note, where there are any
  plan.json                                       what it will take, estimated
  events.jsonl                                    everything that the stages said
  run.lock  state.json  cancel.request            the supervisor at work
  slurm/     jobs.json  states.json  *.sh  *.log  jobs that work in the run: see `slurm_jobs.py`
  logs/<stage>.log                                each stage's own output
  <stage>/started.json  done.json  exit.json      what it read; that it finished; how it ended
  <stage>/files.json                              checksums of what it wrote
  <stage>/workers/                                what several processes share while they work at it
  damaged/                                        what `headwater repair` put away
  prepare/   examples.parquet  validation.parquet  prompts.jsonl  tokenizer/  summary.json
             corpus.json
  train/     model/  base/  checkpoints/  summary.json
  influence/ factors_<strategy>/  scores_<strategy>/        in Kronfluence's own format
  scores/    rankings.parquet  scores.safetensors  tokens.parquet  answers.jsonl  summary.json
             lookup.safetensors  budget.json  precision.json
  exports/   what a person took out of the rankings
  inspect/   modules.csv  eigenvalues.parquet  lambda_maps.parquet  layer_<n>/
  generate/  answers.parquet  summary.json
  generated/ generated_answers.json  finetuned_generated_answers.json
  comparison_results/  model_comparison.csv  model_comparison_summary.csv  …
  evaluate/  rankings.parquet  tokens.parquet  summary.json  traced/    of the model's own answers
  benchmark/ answers/<benchmark>_<model>.jsonl  summary.json       as questions are answered
  deepeval_results/run_<time>/  task_model_scores.json  questions.parquet
  index/     features/  text_losses.safetensors  summary.json
  ask.json  ask.lock  ask.phase                   the process that answers new prompts
  asked.jsonl                                     the questions that it has answered
  verbatim/<folder>/  index.json  *.npy           where each stretch of text stands in the examples
  validate/  summary.json  damping_<value>/  fisher_<seed>/       scored again, as influence/
  retrainings.jsonl                               what models trained again make of the prompts
  prove.json                                      the examples that are to be proven
  proofs.jsonl                                    what was proven, with intervals
  report/    summary.json
  combined_evaluation_results/  combined_evaluation_report.md  .html  figures/
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path

from pipeline.contract.errors import UsageError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class RunDir:
    """The paths of one run; nothing is created by naming it."""

    root: Path

    @property
    def name(self) -> str:
        """The run's name: its folder's."""
        return self.root.resolve().name

    @property
    def settings(self) -> Path:
        """The settings that this run replays."""
        return self.root / "settings.toml"

    @property
    def prompts(self) -> Path:
        """The user's prompts, copied at the start; absent for the demo corpus."""
        return self.root / "prompts.jsonl"

    @property
    def manifest(self) -> Path:
        """Versions, hardware and command line."""
        return self.root / "manifest.json"

    @property
    def remarks(self) -> Path:
        """A person's tags and note: see `remarks.py`."""
        return self.root / "remarks.json"

    @property
    def plan(self) -> Path:
        """What the run will take, estimated before it is run."""
        return self.root / "plan.json"

    @property
    def events(self) -> Path:
        """See `events.py`."""
        return self.root / "events.jsonl"

    @property
    def lock(self) -> Path:
        """Held by the supervisor for as long as it lives."""
        return self.root / "run.lock"

    @property
    def state(self) -> Path:
        """Who supervises, and which stage process is running."""
        return self.root / "state.json"

    @property
    def cancel_request(self) -> Path:
        """Its presence asks the supervisor to stop the stage."""
        return self.root / "cancel.request"

    @property
    def slurm(self) -> Path:
        """Batch scripts and logs of the run's Slurm jobs."""
        return self.root / "slurm"

    @property
    def jobs(self) -> Path:
        """Which jobs were submitted: see `slurm_jobs.py`."""
        return self.slurm / "jobs.json"

    @property
    def job_states(self) -> Path:
        """What Slurm said of them."""
        return self.slurm / "states.json"

    @property
    def damaged(self) -> Path:
        """What was found damaged and put away."""
        return self.root / "damaged"

    def log(self, stage: str) -> Path:
        """What the stage's process printed."""
        return self.root / "logs" / f"{stage}.log"

    def stage(self, stage: str) -> Path:
        """The stage's output folder."""
        return self.root / stage

    def started(self, stage: str) -> Path:
        """What the stage that wrote this folder was reading; see `freshness.Fingerprint`."""
        return self.stage(stage) / "started.json"

    def precision(self, stage: str) -> Path:
        """What precision the stage, factors or scores, has chosen."""
        return self.stage(stage) / "precision.json"

    def done(self, stage: str) -> Path:
        """Written last: the stage's outputs are whole."""
        return self.stage(stage) / "done.json"

    def checksums(self, stage: str) -> Path:
        """Checksums of what the stage wrote: see `checksums.py`."""
        return self.stage(stage) / "files.json"

    def workers(self, stage: str) -> Path:
        """What the stage shares with other processes while it works: see `workers.py`."""
        return self.stage(stage) / "workers"

    def offer(self, stage: str) -> Path:
        """What the stage offers them to do."""
        return self.workers(stage) / "offer.json"

    def exit(self, stage: str) -> Path:
        """How the stage's process ended, written by the supervisor."""
        return self.stage(stage) / "exit.json"

    # prepare

    @property
    def examples(self) -> Path:
        """Training examples: see `pipeline/stages/prepare.py` for the columns."""
        return self.stage("prepare") / "examples.parquet"

    @property
    def validation(self) -> Path:
        """Held-out examples, the same columns."""
        return self.stage("prepare") / "validation.parquet"

    @property
    def corpus_mark(self) -> Path:
        """What the corpus was made from, written when it is complete; see `freshness.py`."""
        return self.stage("prepare") / "corpus.json"

    @property
    def prepared_prompts(self) -> Path:
        """The prompts that every later stage reads."""
        return self.stage("prepare") / "prompts.jsonl"

    @property
    def tokenizer(self) -> Path:
        """A transformers tokenizer folder."""
        return self.stage("prepare") / "tokenizer"

    def verbatim(self, examples: Path) -> Path:
        """The span index of a file of the run's examples, made when first needed."""
        return self.root / "verbatim" / examples.parent.name

    # train

    @property
    def model(self) -> Path:
        """The trained model, a transformers folder."""
        return self.stage("train") / "model"

    @property
    def base(self) -> Path:
        """The model before training, a transformers folder."""
        return self.stage("train") / "base"

    @property
    def checkpoints(self) -> Path:
        """Trainer checkpoints, for resuming."""
        return self.stage("train") / "checkpoints"

    # factors and scores: Kronfluence's `output_dir` is the run, its `analysis_name` "influence"

    analysis_name = "influence"

    def factors(self, strategy: str) -> Path:
        """Kronfluence's factor folder of a strategy."""
        return self.root / self.analysis_name / f"factors_{strategy}"

    def kronfluence_scores(self, strategy: str) -> Path:
        """Kronfluence's score folder of a strategy."""
        return self.root / self.analysis_name / f"scores_{strategy}"

    @property
    def rankings(self) -> Path:
        """Top and bottom examples of every prompt and method, with their text."""
        return self.stage("scores") / "rankings.parquet"

    @property
    def scores(self) -> Path:
        """Every example's score for every prompt: see `pipeline/stages/scores.py`."""
        return self.stage("scores") / "scores.safetensors"

    def module_scores(self, strategy: str) -> Path:
        """Every example's score for every prompt in Kronfluence's own file: a tensor [Q, N] a
        module, or `all_modules` where there was no room to keep them apart."""
        return self.kronfluence_scores(strategy) / "pairwise_scores.safetensors"

    def module_scores_order(self, strategy: str) -> Path:
        """Kronfluence's note on them: `indices`, every column's example; null = as they come."""
        return self.kronfluence_scores(strategy) / "train_dataset_metadata.json"

    @property
    def budget(self) -> Path:
        """What scoring takes of the device's memory."""
        return self.stage("scores") / "budget.json"

    @property
    def token_scores(self) -> Path:
        """Per-token scores of the top examples."""
        return self.stage("scores") / "tokens.parquet"

    @property
    def lookup(self) -> Path:
        """Every example as a screen looks it up: see `results/lookup_writer.py`."""
        return self.stage("scores") / "lookup.safetensors"

    @property
    def exports(self) -> Path:
        """The folder of what a person took out of the rankings."""
        return self.root / "exports"

    @property
    def answers(self) -> Path:
        """The trained model's own greedy answers, JSON Lines."""
        return self.stage("scores") / "answers.jsonl"

    # inspect

    @property
    def module_table(self) -> Path:
        """One row a tracked module: its spectra in figures."""
        return self.stage("inspect") / "modules.csv"

    @property
    def eigenvalues(self) -> Path:
        """The sorted spectra."""
        return self.stage("inspect") / "eigenvalues.parquet"

    @property
    def lambda_maps(self) -> Path:
        """Λ of every module, reduced to what a terminal can show."""
        return self.stage("inspect") / "lambda_maps.parquet"

    def layer(self, layer: int) -> Path:
        """Pictures and tables of one layer's factors."""
        return self.stage("inspect") / f"layer_{layer}"

    # generate and evaluate

    @property
    def generated_answers(self) -> Path:
        """Both models' answers, a row a prompt; see `results/generation.py`."""
        return self.stage("generate") / "answers.parquet"

    @property
    def generated(self) -> Path:
        """The answers as JSON, in the field's own forms."""
        return self.root / "generated"

    @property
    def own_rankings(self) -> Path:
        """As `rankings`, of the trained model's own answers; the default method alone."""
        return self.stage("evaluate") / "rankings.parquet"

    @property
    def own_token_scores(self) -> Path:
        """As `token_scores`, of the trained model's own answers."""
        return self.stage("evaluate") / "tokens.parquet"

    @property
    def traced_answers(self) -> RunDir:
        """A folder like a run's own for Kronfluence's scores of these answers."""
        return RunDir(self.stage("evaluate") / "traced")

    @property
    def comparison(self) -> Path:
        """Base against trained: tables, chart, influential examples."""
        return self.root / "comparison_results"

    @property
    def answer_comparison(self) -> Path:
        """Both models' answers with their metrics, a row a prompt."""
        return self.comparison / "model_comparison.csv"

    @property
    def metric_comparison(self) -> Path:
        """Base against trained, a row a metric."""
        return self.comparison / "model_comparison_summary.csv"

    @property
    def comparison_chart(self) -> Path:
        """The metrics' changes as a picture."""
        return self.comparison / "model_comparison_chart.png"

    # benchmark

    def benchmark_answers(self, benchmark: str, model: str) -> Path:
        """Answers so far, JSON Lines; what a stopped benchmark goes on from."""
        return self.stage("benchmark") / "answers" / f"{benchmark}_{model}.jsonl"

    def benchmark_results(self, time: str) -> Path:
        """The folder of one finished benchmarking; earlier ones stay beside it."""
        return self.root / "deepeval_results" / f"run_{time}"

    def benchmark_questions(self, folder: str) -> Path:
        """Every answer of one benchmarking, whose folder below the run its summary names."""
        return self.root / folder / "questions.parquet"

    # index

    @property
    def features(self) -> Path:
        """Every example's gradient as a short vector: see `pipeline/ask/store.py`."""
        return self.stage("index") / "features"

    def added(self, name: str) -> Path:
        """Examples and features of texts that were added to the index: see `pipeline/ask/`."""
        return self.stage("index") / "added" / name

    @property
    def text_losses(self) -> Path:
        """The model's loss at each token of some texts, which prompts are compared with."""
        return self.stage("index") / "text_losses.safetensors"

    @property
    def ask_address(self) -> Path:
        """Who answers questions, and where: see `asking.py`."""
        return self.root / "ask.json"

    @property
    def ask_lock(self) -> Path:
        """Held by the process that answers questions."""
        return self.root / "ask.lock"

    @property
    def ask_phase(self) -> Path:
        """What that process is at while it starts."""
        return self.root / "ask.phase"

    @property
    def asked(self) -> Path:
        """The questions that were answered: see `history.py`."""
        return self.root / "asked.jsonl"

    # validate

    @property
    def retrainings(self) -> Path:
        """Outcomes of trainings on other examples, by what they were of; they outlive the stage."""
        return self.root / "retrainings.jsonl"

    def variant(self, name: str) -> RunDir:
        """A folder like a run's own for factors and scores under another damping or seed."""
        return RunDir(self.stage("validate") / name)

    # prove

    @property
    def claim(self) -> Path:
        """What is to be proven next: see `proving.py`."""
        return self.root / "prove.json"

    @property
    def proofs(self) -> Path:
        """What was proven: see `results/proofs.py`; they outlive the stage."""
        return self.root / "proofs.jsonl"

    # report

    @property
    def report(self) -> Path:
        """The folder of the report and its figures."""
        return self.root / "combined_evaluation_results"

    @property
    def report_markdown(self) -> Path:
        """The report as Markdown."""
        return self.report / "combined_evaluation_report.md"

    @property
    def report_html(self) -> Path:
        """The report as one self-contained page."""
        return self.report / "combined_evaluation_report.html"

    def summary(self, stage: str) -> Path:
        """A stage's figures for the screen and the report, JSON."""
        return self.stage(stage) / "summary.json"


def run_path(runs: Path, name: str) -> RunDir:
    """The folder of the run `name` below `runs`.

    Raises:
        UsageError: the name could not be a folder's on every machine.
    """
    if not _NAME.fullmatch(name):
        raise UsageError(f"run name {name!r}: letters, digits, '.', '_' and '-' only, at most 100")
    return RunDir(runs / name)


def list_runs(runs: Path) -> list[RunDir]:
    """Every run below `runs`, newest first; what is hidden is none, as one half deleted."""
    dated: list[tuple[float, RunDir]] = []
    for name in _folders(runs):
        run = RunDir(runs / name)
        with suppress(OSError):  # it has no settings, or was deleted just now
            dated.append((run.settings.stat().st_mtime, run))
    return [run for _, run in sorted(dated, key=itemgetter(0), reverse=True)]


def _folders(parent: Path) -> list[str]:
    """Names of the folders that are not hidden. A glob would look at every file by its pattern."""
    try:
        with os.scandir(parent) as entries:
            return [entry.name for entry in entries if entry.name[0] != "." and entry.is_dir()]
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return []
