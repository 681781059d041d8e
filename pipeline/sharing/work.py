"""What a stage shares with other workers: work in parts, each done by whoever takes it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

Part = tuple[int, int]
"""A part: which one, and which of the modules; 0 where they are not parted."""


class Work(Protocol):
    """Parts that are independent of each other, and what becomes of their files."""

    @property
    def phase(self) -> str:
        """Its name in progress events, messages and lines about workers."""

    @property
    def unit(self) -> str:
        """What `total` counts: "examples"."""

    @property
    def total(self) -> int:
        """How much there is to do, evenly spread over the parts."""

    @property
    def parts(self) -> Sequence[Part]:
        """All of them, in the order in which they are merged."""

    @property
    def folder(self) -> Path:
        """Where the files belong that other workers have published."""

    def has(self, part: Part) -> bool:
        """Whether the stage has what comes of the part."""

    def id(self, tokens: int) -> str:
        """Names the work together with all that decides its bits; `tokens`: the budget of a batch,
        where the stage decides it."""

    def begin(self, shared: Path) -> None:
        """The stage is about to offer it: puts down in `shared` what others need to know of it."""

    def collected(self, part: Part) -> None:
        """Files of a part, whole as another worker has published them, lie in `folder`."""


def digest(decides: Sequence[Any]) -> str:
    """A name of what can be written as JSON, fit for a folder."""
    return hashlib.sha256(json.dumps(decides).encode()).hexdigest()[:16]
