"""Document ids that stay when files are moved, sorted or joined."""

from __future__ import annotations

import hashlib
from collections import Counter

from pipeline.contract.errors import DataError
from pipeline.corpus.readers import Document

_DIGEST_BYTES = 8  # among ten million texts, two share a digest with a chance of 3 in a million


class DocumentIds:
    """Gives every document its id: the user's own, or one made from its text."""

    def __init__(self) -> None:
        self._places: dict[str, str] = {}
        self._copies: Counter[str] = Counter()

    def assign(self, document: Document) -> str:
        """The user's id, or the text's digest with "-2", "-3" … added for exact copies.

        Raises:
            DataError: the user's id is taken already.
        """
        if not document.id:
            name = self._made(document.text)
            self._places[name] = ""
            return name
        if document.id in self._places:
            raise DataError(
                f"{document.row.location}: id {document.id!r} is taken already, "
                f"by {self._places[document.id]}",
                "choose another data.id_column, or leave it empty to have ids made",
            )
        self._places[document.id] = document.row.location
        return document.id

    def _made(self, text: str) -> str:
        digest = hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).hexdigest()
        self._copies[digest] += 1
        copies = self._copies[digest]
        return digest if copies == 1 else f"{digest}-{copies}"

    def __contains__(self, name: str) -> bool:
        return name in self._places

    def __len__(self) -> int:
        return len(self._places)
