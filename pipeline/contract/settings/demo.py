"""The demo's settings: its facts as plain text, or as conversations that an adapter learns."""

from __future__ import annotations

from pathlib import Path

from pipeline.contract.settings.profiles import PROFILES
from pipeline.contract.settings.schema import Settings

_OTHER_FACTS = 1_000_000
"""What a base's seed is ahead of the demo's: people and places that the demo does not ask about."""
HIGHEST_SEED = 2**32 - 1 - _OTHER_FACTS
_CONVERSATIONS = {**PROFILES["demo"]["data"], "form": "chat"}


def demo_settings(seed: int) -> Settings:
    """A model from scratch that learns the facts from plain text."""
    return Settings.model_validate({**PROFILES["demo"], "run": {"seed": seed}})


def chat_base_settings(seed: int) -> Settings:
    """The base of the conversations: it learns the language and the template from other facts."""
    return Settings.model_validate(
        {
            **PROFILES["demo"],
            "run": {"seed": seed + _OTHER_FACTS},
            "data": {**_CONVERSATIONS, "chat_template": "zephyr"},
            "train": {"epochs": 4.0, "learning_rate": 2e-3, "batch_tokens": 512},
        }
    )


def chat_settings(seed: int, base: Path) -> Settings:
    """An adapter on the base in the folder `base` that learns the facts from conversations."""
    return Settings.model_validate(
        {
            **PROFILES["demo"],
            "run": {"seed": seed},
            "data": _CONVERSATIONS,
            "tokenizer": {"source": "model"},
            "model": {"init": "pretrained", "name": str(base.resolve())},
            "lora": {"rank": 16, "alpha": 32},
            "train": {"epochs": 8.0, "learning_rate": 3e-3, "batch_tokens": 512},
            "modules": {"group": "all"},
            "factors": {**PROFILES["demo"]["factors"], "strategies": ["ekfac", "identity"]},
        }
    )
