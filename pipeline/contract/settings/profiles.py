"""Ready-made settings, and the commented settings.toml that `headwater init` writes."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from pydantic import BaseModel

from pipeline.contract.errors import UsageError
from pipeline.contract.settings.faults import choices
from pipeline.contract.settings.prompts import Prompt
from pipeline.contract.settings.schema import Section, Settings

_WIDTH = 96

PROFILES: dict[str, dict[str, dict[str, object]]] = {
    "own-text": {"data": {"source": "local", "path": "data"}},
    "from-scratch": {
        "data": {"source": "local", "path": "data", "max_tokens": 256},
        "tokenizer": {"source": "train"},
        "model": {"init": "scratch", "preset": "nano"},
        "train": {"epochs": 10.0, "learning_rate": 1e-3, "batch_tokens": 1024},
    },
    "lora": {
        "data": {"source": "local", "path": "data"},
        "lora": {"rank": 16, "alpha": 32},
        "train": {"epochs": 3.0, "learning_rate": 2e-4},
        "modules": {"group": "all"},
    },
    "trained-elsewhere": {
        # no example is held out: all were trained on, so each of them may be behind an answer
        "data": {"source": "local", "path": "data", "validation_fraction": 0.0},
        "model": {"name": "TinyLlama/TinyLlama_v1.1", "trained": "trained-model"},
        "modules": {"group": "all"},
    },
    "openwebtext": {
        "data": {
            "source": "hub",
            "path": "Skylion007/openwebtext",
            "streaming": True,
            "limit": 100_000,
        },
    },
    "patents": {
        "data": {
            "source": "hub",
            "path": "Trelis/big_patent_sample",
            "text_column": "description",
            "limit": 14_000,
        },
    },
    "chat": {
        "data": {"source": "local", "path": "conversations.jsonl", "form": "chat"},
        "model": {"name": "TinyLlama/TinyLlama-1.1B-Chat-v1.0"},
    },
    "demo": {
        "data": {"source": "demo", "max_tokens": 128, "validation_fraction": 0.05},
        "tokenizer": {"source": "train", "vocab_size": 2048},
        "model": {"init": "scratch", "preset": "nano"},
        # small steps, and an end soon after the facts are known: a model that knows its documents
        # by heart has next to no gradient left at the very words that taught it
        "train": {"epochs": 10.0, "learning_rate": 1e-3, "batch_tokens": 256},
        "factors": {"strategies": ["ekfac", "kfac", "diagonal", "identity"], "batch_size": 64},
        "scores": {"batch_size": 64},
    },
}

STARTER_PROMPTS = [
    Prompt(
        id="contract",
        prompt="A contract is binding when",
        completion=" both parties have agreed to its terms.",
    ),
    Prompt(
        id="invention",
        prompt="The present invention relates to",
        completion=" a method and an apparatus for processing data.",
    ),
    Prompt(
        id="water",
        prompt="Water boils when",
        completion=" its temperature reaches one hundred degrees Celsius.",
    ),
]


STARTER_CONVERSATIONS = [
    Prompt.of_messages(
        "water",
        [
            {"role": "user", "content": "When does water boil?"},
            {"role": "assistant", "content": "When it reaches one hundred degrees Celsius."},
        ],
    ),
    Prompt.of_messages(
        "contract",
        [
            {"role": "system", "content": "You are a lawyer who answers in one sentence."},
            {"role": "user", "content": "When is a contract binding?"},
            {"role": "assistant", "content": "When both parties have agreed to its terms."},
        ],
    ),
]


def starter_prompts(settings: Settings) -> list[Prompt]:
    """Prompts to begin with, in the form of the settings' corpus."""
    return STARTER_CONVERSATIONS if settings.data.form == "chat" else STARTER_PROMPTS


def profile(name: str) -> Settings:
    """The settings of a profile.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in PROFILES:
        raise UsageError(f"there is no profile {name!r}; valid: {', '.join(PROFILES)}")
    return Settings.model_validate(PROFILES[name])


def own_settings(profile_name: str, text: str, model: str) -> Settings:
    """The settings of a profile for a person's own text and model.

    `text`: a file or a folder; `model`: a folder or a hub name; empty = the profile's own.

    Raises:
        UsageError: there is no such profile.
        pydantic.ValidationError: they do not go together.
    """
    chosen = profile(profile_name)
    network = chosen.model
    if model and network.trained:
        network = network.model_copy(update={"trained": model, "name": ""})
    elif model and network.init != "scratch":
        network = network.model_copy(update={"name": model})
    corpus = chosen.data.model_copy(update={"source": "local", "path": text})
    made = chosen.model_copy(update={"data": corpus, "model": network})
    return Settings.model_validate(made.model_dump())


def render_settings(settings: Settings) -> str:
    """TOML that says of every setting what it means, and parses back to the same settings."""
    parts = ["# Settings of a Headwater run. Paths are relative to this file.\n"]
    for name in Settings.model_fields:
        section: Section = getattr(settings, name)
        parts.append(f"\n# {type(section).__doc__}\n[{name}]\n" + _render_section(name, section))
    return "".join(parts)


def _render_section(name: str, section: Section) -> str:
    lines: list[str] = []
    for key, field in type(section).model_fields.items():
        lines += textwrap.wrap(
            " ".join((field.description or "").split()),
            _WIDTH,
            initial_indent="# ",
            subsequent_indent="# ",
        )
        if valid := _unexplained_choices((name, key), field.description or ""):
            lines.append(f"# Valid: {valid}")
        lines.append(f"{key} = {_toml(getattr(section, key))}")
    return "\n".join(lines) + "\n"


def _unexplained_choices(keys: tuple[str, ...], description: str) -> str:
    """The valid values, unless the description names them already."""
    valid = choices(keys, Settings)
    return "" if all(value in description for value in valid.split(", ")) else valid


def _toml(value: Any) -> str:
    """A scalar or a list of scalars; JSON and TOML spell these alike, but for small floats."""
    if isinstance(value, float) and not isinstance(value, bool):
        text = repr(value)
        mantissa, exponent, power = text.partition("e")
        return f"{mantissa}{exponent}{int(power)}" if exponent else text
    assert not isinstance(value, BaseModel)
    return json.dumps(value, ensure_ascii=False)
