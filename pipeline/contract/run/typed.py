"""Dataclasses made of JSON, checked by hand: the first paint does not wait for pydantic."""

from __future__ import annotations

from functools import cache
from types import NoneType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

_T = TypeVar("_T")


def require_types(instance: _T) -> _T:
    """The dataclass, every field of the type that it declares; what is in a container is not
    looked at.

    Raises:
        TypeError: a field has another type.
    """
    for name, kinds in _field_types(type(instance)).items():  # type: ignore[arg-type]
        value = getattr(instance, name)
        if not isinstance(value, kinds):
            raise TypeError(f"{name}: {type(value).__name__}")
    return instance


@cache
def _field_types(kind: type) -> dict[str, tuple[type, ...]]:
    return {name: _types(hint) for name, hint in get_type_hints(kind).items()}


def _types(hint: Any) -> tuple[type, ...]:
    """The types that a value may have: JSON's 2 is a float as well as 2.0."""
    origin = get_origin(hint)
    if isinstance(origin, type) and issubclass(origin, dict | list | tuple):
        return (origin,)
    if parts := get_args(hint):
        return tuple(kind for part in parts for kind in _types(part))
    return {float: (float, int), None: (NoneType,)}.get(hint, (hint,))
