"""What a second worker brings: factors and scores by one worker and by two, one thread each.

    python -m bench.workers [--preset micro] [--partitions 16] [--trainings 0] [FOLDER]

The demo's documents and a model that has hardly been trained. Both runs have the same partitions;
their scores are compared bit by bit. Seconds are of each pass, from its first event to its last: in
the first pass of a stage the second worker is still loading its libraries. Processor seconds count
all processes of both stages. With `--trainings 16`, so many trainings on random halves are measured
instead, by validate, and what each came to is compared.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import subprocess
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file

from pipeline.contract.children import child_environment, stage_command
from pipeline.contract.files import write_text
from pipeline.contract.results.validation import read_retrainings
from pipeline.contract.run.events import EventReader, Progress
from pipeline.contract.run.new_run import write_run
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.demo import demo_settings
from pipeline.contract.settings.profiles import render_settings
from pipeline.contract.settings.schema import Settings
from pipeline.validation.lds import RANDOM_HALVES

PHASES = ("ekfac covariance", "ekfac lambda", "ekfac scores", "ekfac self-influence")


def main() -> None:
    """Measures both and prints them beside each other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--preset", default="micro")
    parser.add_argument("--partitions", type=int, default=16)
    parser.add_argument("--trainings", type=int, default=0)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary)
        measure(folder, chosen.preset, chosen.partitions, chosen.trainings)


def measure(folder: Path, preset: str, partitions: int, trainings: int) -> None:
    """Prepares two runs that are alike, and compares them."""
    measured = ("validate",) if trainings else ("factors", "scores")
    settings = settings_of(preset, partitions, trainings, 1)
    one = RunDir(folder / "one")
    write_run(one, render_settings(settings), origin=one.settings)
    before = ("prepare", "train", *(("factors", "scores") if trainings else ()))
    run_stages(one, *before)
    two = RunDir(folder / "two")
    shutil.copytree(one.root, two.root)
    write_text(two.settings, render_settings(settings_of(preset, partitions, trainings, 2)))
    compare(one, two, *measured)


def settings_of(preset: str, partitions: int, trainings: int, workers: int) -> Settings:
    """One thread a worker; EKFAC alone, in so many partitions a pass, or trainings of 100 steps."""
    demo = demo_settings(0).model_dump()
    changes: dict[str, dict[str, object]] = {
        "run": {"device": "cpu", "threads": 1, "workers": workers},
        "model": {"preset": preset},
        "train": {"max_steps": 100 if trainings else 20},
        "factors": {
            "strategies": ["identity" if trainings else "ekfac"],
            "covariance_data_partitions": partitions,
            "lambda_data_partitions": partitions,
        },
        "scores": {"data_partitions": partitions, "token_top": 0, "second_opinions": []},
        "validation": {
            "seeds": 0,
            "dampings": [],
            "fisher_seeds": 0,
            "tail_patch": 0,
            "subsets": trainings,
        },
    }
    values = {name: {**section, **changes.get(name, {})} for name, section in demo.items()}
    return Settings.model_validate(values)


def run_stages(run: RunDir, *stages: str) -> float:
    """Runs them; processor seconds of all their processes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for stage in stages:
        run.log(stage).parent.mkdir(exist_ok=True)
        with run.log(stage).open("ab") as log:
            command = stage_command(stage, str(run.root))
            subprocess.run(command, env=child_environment(), stdout=log, stderr=log, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def compare(one: RunDir, two: RunDir, *stages: str) -> None:
    """Runs both and prints seconds by pass, and whether the results are the same."""
    processor = {run: run_stages(run, *stages) for run in (one, two)}
    phases = PHASES if "scores" in stages else (RANDOM_HALVES,)
    print(f"{'pass':<22}{'one worker, s':>15}{'two workers, s':>16}{'throughput':>12}")
    for phase in phases:
        alone, both = seconds_of(one, phase), seconds_of(two, phase)
        print(f"{phase:<22}{alone:>15.1f}{both:>16.1f}{alone / both:>11.2f}×")
    alone, both = (sum(seconds_of(run, phase) for phase in phases) for run in (one, two))
    print(f"{'all':<22}{alone:>15.1f}{both:>16.1f}{alone / both:>11.2f}×")
    print(f"{'processor':<22}{processor[one]:>15.1f}{processor[two]:>16.1f}")
    same = same_scores(one, two) and same_trainings(one, two)
    print("results:", "the same to the last bit" if same else "DIFFERENT")


def seconds_of(run: RunDir, phase: str) -> float:
    """From the first to the last progress of a pass."""
    times = [
        event.time
        for event in EventReader(run.events).read()
        if isinstance(event, Progress) and event.phase == phase
    ]
    return max(times) - min(times)


def same_scores(one: RunDir, two: RunDir) -> bool:
    """Whether every score is the same number in both runs."""
    found, wanted = load_file(one.scores), load_file(two.scores)
    return found.keys() == wanted.keys() and all(
        torch.equal(found[name], wanted[name]) for name in wanted
    )


def same_trainings(one: RunDir, two: RunDir) -> bool:
    """Whether every training came to the same numbers in both runs."""
    found, wanted = ({line.key: line.values for line in read_retrainings(r)} for r in (two, one))
    return found == wanted


if __name__ == "__main__":
    main()
