"""What a second worker brings: factors and scores by one worker and by two, one thread each.

    python -m bench.workers [--preset micro] [--partitions 16] [FOLDER]

The demo's documents and a model that has hardly been trained. Both runs have the same partitions;
their scores are compared bit by bit. Seconds are of each pass, from its first event to its last: in
the first pass of a stage the second worker is still loading its libraries. Processor seconds count
all processes of both stages.
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
from pipeline.contract.run.events import EventReader, Progress
from pipeline.contract.run.new_run import write_run
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.demo import demo_settings
from pipeline.contract.settings.profiles import render_settings
from pipeline.contract.settings.schema import Settings

PHASES = ("ekfac covariance", "ekfac lambda", "ekfac scores", "ekfac self-influence")


def main() -> None:
    """Measures both and prints them beside each other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--preset", default="micro")
    parser.add_argument("--partitions", type=int, default=16)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary)
        settings = settings_of(chosen.preset, chosen.partitions, 1)
        one = RunDir(folder / "one")
        write_run(one, render_settings(settings), origin=one.settings)
        run_stages(one, "prepare", "train")
        two = RunDir(folder / "two")
        shutil.copytree(one.root, two.root)
        write_text(two.settings, render_settings(settings_of(chosen.preset, chosen.partitions, 2)))
        compare(one, two)


def settings_of(preset: str, partitions: int, workers: int) -> Settings:
    """EKFAC alone, in so many partitions a pass, one thread a worker."""
    demo = demo_settings(0).model_dump()
    changes: dict[str, dict[str, object]] = {
        "run": {"device": "cpu", "threads": 1, "workers": workers},
        "model": {"preset": preset},
        "train": {"max_steps": 20},
        "factors": {
            "strategies": ["ekfac"],
            "covariance_data_partitions": partitions,
            "lambda_data_partitions": partitions,
        },
        "scores": {"data_partitions": partitions, "token_top": 0, "second_opinions": []},
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


def compare(one: RunDir, two: RunDir) -> None:
    """Runs both and prints seconds by pass, and whether the scores are the same."""
    processor = {run: run_stages(run, "factors", "scores") for run in (one, two)}
    print(f"{'pass':<22}{'one worker, s':>15}{'two workers, s':>16}{'throughput':>12}")
    for phase in PHASES:
        alone, both = seconds_of(one, phase), seconds_of(two, phase)
        print(f"{phase:<22}{alone:>15.1f}{both:>16.1f}{alone / both:>11.2f}×")
    alone, both = (sum(seconds_of(run, phase) for phase in PHASES) for run in (one, two))
    print(f"{'all four':<22}{alone:>15.1f}{both:>16.1f}{alone / both:>11.2f}×")
    print(f"{'processor':<22}{processor[one]:>15.1f}{processor[two]:>16.1f}")
    print("scores:", "the same to the last bit" if same_scores(one, two) else "DIFFERENT")


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


if __name__ == "__main__":
    main()
