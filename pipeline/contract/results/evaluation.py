"""What the evaluate stage found: the trained model's answers against the base's."""

from __future__ import annotations

from collections.abc import Mapping

METRICS: Mapping[str, str] = {
    "bleu1": "BLEU-1",
    "bleu2": "BLEU-2",
    "bleu": "BLEU",
    "chrf": "chrF",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "exact": "exact match",
    "f1": "token F1",
}
"""Measures of likeness to the expected text: all shares of 1, 1 = equal."""
LIKELIHOOD = "log_likelihood_per_token"
"""The one metric that is no share: nats."""
TITLES: Mapping[str, str] = {**METRICS, LIKELIHOOD: "ln p of the expected answer, a token"}
"""Every metric, as a person reads it."""
