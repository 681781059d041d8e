"""Document ids that do not depend on file names or on the order of rows."""

from __future__ import annotations

import hashlib
from collections import Counter

from pipeline.corpus.readers import Document

_DIGEST_BYTES = 8  # among ten million texts, two share a digest with a chance of 3 in a million


class DocumentIds:
    """Assigns each document its id: the user's own, or one generated from its text."""

    def __init__(self) -> None:
        self._locations: dict[str, str] = {}  # id → where it was read; "" for generated ids
        self._copies: Counter[str] = Counter()

    def assign(self, document: Document) -> str:
        """Returns the user's id, or the text's digest, with "-2", "-3" … for exact copies.

        The user's id must not be taken: see `conflict`.
        """
        if not document.id:
            name = self._generated(document.text)
            self._locations[name] = ""
            return name
        assert document.id not in self._locations
        self._locations[document.id] = document.row.location
        return document.id

    def conflict(self, document: Document) -> str:
        """Says who has the document's id already; empty if nobody."""
        if not document.id or document.id not in self._locations:
            return ""
        return (
            f"id {document.id!r} is taken already, by {self._locations[document.id]}; "
            "data.id_column may name another column, or none to have ids made"
        )

    def _generated(self, text: str) -> str:
        digest = hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()
        self._copies[digest] += 1
        copies = self._copies[digest]
        return digest if copies == 1 else f"{digest}-{copies}"

    def __contains__(self, name: str) -> bool:
        return name in self._locations

    def __len__(self) -> int:
        return len(self._locations)
