"""What a setting is: its type in words, its valid values, and how typed text becomes one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Union, get_args, get_origin

import tomli
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from pipeline.contract.settings.faults import choices
from pipeline.contract.settings.schema import Section, Settings

_NAMES = {bool: "yes or no", int: "whole number", float: "number", str: "text"}
_BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


@dataclass(frozen=True)
class Field:
    """One setting, without its value."""

    section: str
    key: str
    default: Any
    kind: str
    """Its type and bounds in words: "number > 0"."""
    help: str
    options: tuple[Any, ...]
    """Every value that it can take, where these can be listed."""
    valid: str
    """Named values, where it takes these among others or in a list."""

    @property
    def name(self) -> str:
        """As in an error message: "train.epochs"."""
        return f"{self.section}.{self.key}"


def all_fields() -> tuple[Field, ...]:
    """Every setting, in the order of settings.toml."""
    return tuple(
        _field(section, key, info)
        for section, outer in Settings.model_fields.items()
        for key, info in _section(outer).model_fields.items()
    )


def fault(field: Field, value: Any, neighbours: Mapping[str, object]) -> str:
    """What is wrong with a value by itself, or nothing; `neighbours` are its section's values."""
    section = _section(Settings.model_fields[field.section])
    try:
        section.model_validate({**neighbours, field.key: value})
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            if detail["loc"][:1] == (field.key,):
                return f"valid: {field.valid or field.kind}"
    return ""


def read_typed(field: Field, text: str) -> Any:
    """The value that a person means: TOML, or text without quotes, or a list without brackets."""
    if field.options and not isinstance(field.options[0], bool):
        return text.strip()
    if field.kind == "text":
        return _toml(text) if text[:1] in ('"', "'") and len(text) > 1 else text
    if field.kind.startswith("list") and not text.startswith("["):
        return [part.strip().strip("\"'") for part in text.split(",") if part.strip()]
    return _toml(text.strip())


def shown(value: Any) -> str:
    """A value as a person would type it; text that no terminal should get is quoted."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return json.dumps(value)
    text = str(value)
    plain = isinstance(value, str) and (not text.isprintable() or text[:1] in ('"', "'"))
    return json.dumps(text) if plain else text


def _toml(text: str) -> Any:
    try:
        return tomli.loads(f"v = {text}")["v"]
    except tomli.TOMLDecodeError:
        return text


def _section(info: FieldInfo) -> type[Section]:
    assert isinstance(info.annotation, type)
    assert issubclass(info.annotation, Section)
    return info.annotation


def _field(section: str, key: str, info: FieldInfo) -> Field:
    return Field(
        section=section,
        key=key,
        default=info.get_default(call_default_factory=True),
        kind=_kind(info.annotation, info.metadata),
        help=" ".join((info.description or "").split()),
        options=_options(info.annotation),
        valid=choices((section, key), Settings),
    )


def _options(annotation: Any) -> tuple[Any, ...]:
    if annotation is bool:
        return (False, True)
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _kind(annotation: Any, metadata: list[Any]) -> str:
    if annotation in _NAMES:
        return f"{_NAMES[annotation]} {', '.join(_bounds(metadata))}".rstrip()
    if get_origin(annotation) is Literal:
        return "one of"
    if get_origin(annotation) is list:
        return f"list of {_kind(get_args(annotation)[0], [])}".replace("one of", "names")
    if get_origin(annotation) is Union or annotation.__class__.__name__ == "UnionType":
        return "number or name"
    return "value"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:g}"


def _bounds(metadata: list[Any]) -> list[str]:
    """The bounds of a number: pydantic keeps each as an object of its own."""
    return [
        f"{sign} {_number(getattr(bound, name))}"
        for bound in metadata
        for name, sign in _BOUNDS.items()
        if getattr(bound, name, None) is not None
    ]
