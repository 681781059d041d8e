"""Reads a finished run: `python examples/read_a_run.py runs/demo`.

Prints what taught the model its first answer, how far the methods agree on it, and which module's
gradients spread over the most directions.
"""

from __future__ import annotations

import sys

import numpy as np

import headwater


def main(folder: str) -> None:
    """Prints three things about a run."""
    run = headwater.open_run(folder)
    scores = run.scores
    prompt = scores.metadata.prompts[0]

    print(f"{run.name}: the examples that taught the answer to {prompt!r} most")
    for row in run.rank(prompt, top=5).rows():
        print(f"{row['rank']:>3}  {row['score']:+10.4g}  {row['text'][:80]}")

    print("\nSpearman's correlation of each method with the default one, over all prompts")
    default = _ranks(scores[scores.metadata.default_method])
    for method in scores:
        each = [
            np.corrcoef(a, b)[0, 1] for a, b in zip(default, _ranks(scores[method]), strict=True)
        ]
        print(f"{method:<20} {np.mean(each):+.2f}")

    spectra = run.spectra.to_pandas()
    if len(spectra):
        widest = spectra[spectra["kind"] == "gradient"].nlargest(1, "effective_rank")
        print("\nwidest gradient covariance")
        print(widest[["strategy", "module", "count", "effective_rank"]].to_string(index=False))


def _ranks(scores: np.ndarray) -> np.ndarray:
    """The examples' ranks for every prompt [Q, N], lowest score first."""
    return scores.argsort(axis=1, kind="stable").argsort(axis=1)


if __name__ == "__main__":
    main(sys.argv[1])
