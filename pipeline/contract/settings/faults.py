"""Reads a settings file and says what is wrong in it: file, line, key, value, valid values."""

from __future__ import annotations

import difflib
import re
from typing import Any, TypeVar, get_args

import tomli
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pipeline.contract.errors import SettingsError

_Model = TypeVar("_Model", bound=BaseModel)
_MOST_FAULTS = 20
_LONGEST = 80
"""Letters of a wrong value that are repeated to the person."""


def parse_as(model: type[_Model], text: str, name: str) -> _Model:
    """Reads settings of one kind from TOML text; `name` is what errors call the file.

    Raises:
        SettingsError: naming file, line, key, value and the valid values of every fault.
    """
    try:
        return model.model_validate(tomli.loads(text))
    except ValidationError as error:
        raise SettingsError(explain(error, model, text, name)) from error
    except ValueError as error:  # a number of thousands of digits is no TOMLDecodeError
        raise SettingsError(f"{name}: not valid TOML: {error}") from error
    except RecursionError as error:
        raise SettingsError(f"{name}: its tables or lists lie too deep in each other") from error


def explain(error: ValidationError, model: type[BaseModel], text: str, name: str) -> str:
    """Gives one line for every fault that pydantic found in the TOML `text` of file `name`."""
    lines: dict[tuple[str, ...], tuple[int, str]] = {}
    details = error.errors(include_url=False)
    for detail in details[:_MOST_FAULTS]:
        keys = tuple(str(part) for part in detail["loc"])[:2]  # no list positions or union branches
        number = _line_number(text, keys) if keys else 0
        where = f"{name}:{number}" if keys else name
        lines.setdefault(keys, (number, f"{where}: {_fault(detail, keys, model)}"))
    more = [f"… and {len(details) - _MOST_FAULTS:,} more"] * (len(details) > _MOST_FAULTS)
    return "\n".join([*(line for _, line in sorted(lines.values())), *more])


def _fault(detail: ErrorDetails, keys: tuple[str, ...], model: type[BaseModel]) -> str:
    if detail["type"] == "extra_forbidden":
        return f"unknown setting {'.'.join(keys)}; {_valid_names(keys, model)}"
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] == "value_error":
        return message
    valid = choices(keys, model)
    return f"{'.'.join(keys)} = {_toml(detail['input'])}: {f'valid: {valid}' if valid else message}"


def _line_number(text: str, keys: tuple[str, ...]) -> int:
    """The 1-based line of `[section]` or of `key = ` in it."""
    section = setting = 0
    current = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[+\s*([\w.\"-]+)\s*\]+", line):
            current = header.group(1)
            section = number if current == keys[0] else section
        elif len(keys) > 1 and re.match(rf'\s*"?{re.escape(keys[1])}"?\s*=', line):
            setting = number if current == keys[0] else setting
        elif not current and re.match(rf'\s*"?{re.escape(keys[0])}"?[\s.]*.*=', line):
            section = number
    return setting or section or 1


def _section(model: type[BaseModel], name: str) -> type[BaseModel] | None:
    field = model.model_fields.get(name)
    annotation = field.annotation if field else None
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return None


def _valid_names(keys: tuple[str, ...], model: type[BaseModel]) -> str:
    owner = model if len(keys) == 1 else _section(model, keys[0])
    names = list(owner.model_fields) if owner else []
    close = difflib.get_close_matches(keys[-1], names, n=1)
    suggestion = f"did you mean {close[0]}? " if close else ""
    return f"{suggestion}valid: {', '.join(names)}"


def choices(keys: tuple[str, ...], model: type[BaseModel]) -> str:
    """The named values that a setting takes, quoted; empty where it takes any."""
    owner = _section(model, keys[0]) if len(keys) == 2 else None
    field = owner.model_fields.get(keys[1]) if owner else None
    leaves = _literals(field.annotation) if field else []
    listed = ", ".join(_toml(leaf) for leaf in leaves if isinstance(leaf, str | bool))
    is_number = listed and {int, float} & _types(leaves)
    return f"a number ≥ {_least(leaves):g}, or {listed}" if is_number else listed


def _least(leaves: list[Any]) -> float:
    """The lower bound that pydantic keeps beside a number's type; 0 where there is none."""
    bounds = [bound for leaf in leaves for bound in getattr(leaf, "metadata", ())]
    return next((bound.ge for bound in bounds if hasattr(bound, "ge")), 0)


def _types(leaves: list[Any]) -> set[type]:
    return {leaf for leaf in leaves if isinstance(leaf, type)}


def _literals(annotation: Any) -> list[Any]:
    """All leaves of nested Literal, Annotated, list and union annotations."""
    args = get_args(annotation)
    return [leaf for arg in args for leaf in (_literals(arg) or [arg])]


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = str(value) if len(str(value)) <= _LONGEST else f"{str(value)[:_LONGEST]}…"
    return f'"{text}"' if isinstance(value, str) else text
