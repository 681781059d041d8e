"""What a second thread, and a second process, bring to retrainings: in turn, on a machine in use.

    python -m bench.trainings RUN [--rounds 6]

RUN is a folder of a trained run. Each round trains on half of its examples by one process with one
thread, by one with two threads, and by two at once with one thread each, one after the other. Each
process has a session of its own: where cores are contested, Linux may give all processes of one
session a single share of them. Seconds by the clock, and of the processor, of one training.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import numpy as np

from pipeline.contract.children import child_environment, python_command
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.loading import load_settings
from pipeline.influence.greedy_answers import traced_prompts
from pipeline.model import load_tokenizer
from pipeline.validation.retraining import Completions, Retrainer, Training

Process = subprocess.Popen[str]


def main() -> None:
    """Measures in turn and prints the sums; with `--child`, trains whenever a line comes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--child", action="store_true")
    chosen = parser.parse_args()
    if chosen.child:
        train(RunDir(chosen.run))
        return
    first, second, both = (start(chosen.run, threads) for threads in (1, 1, 2))
    ways = {"one thread": [first], "two threads": [both], "two at once": [first, second]}
    clock: dict[str, float] = defaultdict(float)
    processor: dict[str, float] = defaultdict(float)
    for _ in range(chosen.rounds):
        for name, processes in ways.items():
            begun = time.monotonic()
            for process in processes:
                tell(process)
            used = [heard(process) for process in processes]
            clock[name] += time.monotonic() - begun
            processor[name] += sum(used) / len(used)
    for process in (first, second, both):
        process.communicate()
    print(f"{'':<14}{'clock, s':>10}{'processor, s':>14}{'throughput':>12}")
    for name, processes in ways.items():
        gain = len(processes) * clock["one thread"] / clock[name]
        means = clock[name] / chosen.rounds, processor[name] / chosen.rounds
        print(f"{name:<14}{means[0]:>10.2f}{means[1]:>14.2f}{gain:>11.2f}×")


def start(run: Path, threads: int) -> Process:
    """A process that is ready to train."""
    process = subprocess.Popen(
        python_command("-m", "bench.trainings", str(run), "--child"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        # as stages have it: threads that wait by spinning take the cores from others
        env=child_environment(
            OMP_NUM_THREADS=str(threads), OMP_WAIT_POLICY="PASSIVE", PYTHONPATH="."
        ),
        start_new_session=True,
    )
    heard(process)
    return process


def tell(process: Process) -> None:
    """Has it train once."""
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def heard(process: Process) -> float:
    """Seconds of the processor that its training took."""
    assert process.stdout
    return float(process.stdout.readline())


def train(run: RunDir) -> None:
    """Trains whenever a line comes; once before, so that everything is loaded."""
    settings = load_settings(run.settings)
    traced = traced_prompts(run, use_generated=False, tokenizer=load_tokenizer(run.tokenizer))
    retrainer = Retrainer(settings, run, Completions(traced, settings.train.batch_tokens))
    half = Training(np.arange(0, retrainer.examples, 2), 0)
    retrainer.train(Training(half.kept[::4], 0), lambda *_: None)
    print(0.0, flush=True)
    for _ in sys.stdin:
        begun = time.process_time()
        retrainer.train(half, lambda *_: None)
        print(time.process_time() - begun, flush=True)


if __name__ == "__main__":
    main()
