"""JSON records: objects on lines, and the elements of an array that need not fit into memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from pipeline.corpus import sizes
from pipeline.corpus.file_format import as_text

_CHUNK = 65536
_BLANK = " \t\r\n"


class _Object(dict[str, object]):
    """A JSON object that remembers which keys it named twice."""

    def __init__(self, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.repeated = {key for key, _ in pairs} if len(pairs) > len(self) else set()
        if self.repeated:
            keys = [key for key, _ in pairs]
            self.repeated = {key for key in self.repeated if keys.count(key) > 1}


@dataclass(frozen=True)
class Element:
    """An element of a JSON array, or the rest of it that cannot be read."""

    record: Mapping[str, object]
    fault: str
    size: int
    """Bytes that it takes."""
    lines: int


def json_object(line: bytes, wanted: Sequence[str]) -> tuple[dict[str, object], str]:
    """The JSON object on a line, or the reason why there is none.

    A key among `wanted` that is there twice is a fault: either of its values may be meant.
    """
    try:
        # -sig: Windows programs write a byte-order mark at the start of a file
        text = line.decode("utf-8-sig")
        return _checked(json.loads(text), text, wanted)
    except UnicodeDecodeError as error:
        return {}, f"not UTF-8: {error}"
    except (ValueError, RecursionError) as error:
        return {}, f"not JSON: {error}"


def _checked(value: object, text: str, wanted: Sequence[str]) -> tuple[dict[str, object], str]:
    if not isinstance(value, dict):
        return {}, "not a JSON object"
    if twice := _repeated(text, wanted):
        return {}, f"the key {twice!r} is there twice"
    return value, ""


def _repeated(text: str, wanted: Sequence[str]) -> str:
    """The first wanted key that the object names twice."""
    if all(text.count(json.dumps(key, ensure_ascii=False)) < 2 for key in wanted):
        return ""  # the usual case, and a cheap look
    value = json.loads(text, object_pairs_hook=_Object)
    return next((key for key in wanted if key in value.repeated), "")


def json_elements(file: IO[bytes], wanted: Sequence[str]) -> Iterator[Element]:
    """Yields the elements of a JSON array of objects, one after the other.

    What follows a syntax error cannot be told apart and is one faulty element.
    """
    with as_text(file) as text:
        yield from _elements(text, wanted)


def _elements(text: IO[str], wanted: Sequence[str]) -> Iterator[Element]:
    buffer, position, decoder = text.read(_CHUNK), 0, json.JSONDecoder()
    position = buffer.index("[") + 1
    while True:
        start = position
        while position < len(buffer) and buffer[position] in _BLANK + ",":
            position += 1
        closed = buffer.startswith("]", position)
        try:
            value, end = (None, position) if closed else decoder.raw_decode(buffer, position)
        except (ValueError, RecursionError) as error:
            if len(buffer) - position > sizes.LARGEST:
                yield _too_large(buffer[start:], text)
                return
            # doubled each time: an element is read again no more often than its length doubles
            if more := text.read(max(_CHUNK, len(buffer) - position)):
                buffer, position = buffer[start:] + more, 0
                continue
            yield _rest(buffer[position:], error)
            return
        if closed:
            return
        yield _element(value, buffer[position:end], buffer[start:end], wanted)
        position = end


def _element(value: object, text: str, whole: str, wanted: Sequence[str]) -> Element:
    """`whole`: the element's text with what stands between it and the one before."""
    record, fault = _checked(value, text, wanted)
    size = len(whole)
    if not whole.isascii():
        raw = whole.encode("utf-8", "surrogateescape")
        size = len(raw)
        try:
            raw.decode()
        except UnicodeDecodeError as error:
            fault = f"not UTF-8: {error}"
    return Element(record, fault, size, whole.count("\n"))


def _too_large(text: str, file: IO[str]) -> Element:
    """An element whose end is not looked for: with it goes what follows."""
    size, lines = 0, 0
    while text:
        size += len(text.encode("utf-8", "surrogateescape"))
        lines += text.count("\n")
        text = file.read(_CHUNK)
    return Element({}, sizes.too_large(), size, lines)


def _rest(text: str, error: Exception) -> Element:
    size = len(text.encode("utf-8", "surrogateescape"))
    fault = f"not JSON: {error}" if text.strip(_BLANK) else "the array is not closed"
    return Element({}, fault, size, text.count("\n"))
