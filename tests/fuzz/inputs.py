"""Inputs for the targets: whole ones that were changed, and ones that a grammar makes."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from tests.fuzz.targets import Target

_KEYS = st.sampled_from(
    ["text", "id", "messages", "prompt", "completion", "relevant", "role", "content", "type",
     "stage", "time", "done", "total", "dtype", "shape", "data_offsets", "__metadata__", "width",
     "height", "pid", "seconds", "state", "stages", "fingerprint"]
)  # fmt: skip
_NUMBERS = st.one_of(st.integers(), st.floats(), st.sampled_from([10**30, -(10**30), 1e308, -0.0]))
_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), _NUMBERS, st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(_KEYS, st.text()), inner, max_size=5)
    ),
    max_leaves=12,
)
_MOST_MORE = 4096
_ODD = (b"\0", b"\n", b'"', b"{", b"[", b",", b"=", b"\x1b", b"\xff", b"\xed\xa0\x80", b"9" * 40)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


@st.composite
def _changed(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """A whole input with some bytes replaced, put in, taken out or repeated, and not too long."""
    seed = draw(st.sampled_from(seeds))
    content = bytearray(seed)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        end = min(len(content), at + draw(st.integers(0, 8)))
        new = draw(st.one_of(st.sampled_from(_ODD), st.binary(max_size=8), _VALUES.map(_json)))
        content[at:end] = new * draw(st.sampled_from((0, 1, 1, 1, 1000)))
    return bytes(content[: len(seed) + _MOST_MORE])


@st.composite
def _headed(draw: st.DrawFn) -> bytes:
    """As a safetensors file begins: the length of a header, and the header."""
    entry = st.fixed_dictionaries(
        {
            "dtype": st.sampled_from(["F32", "BF16", "I64", "U8", "F9"]),
            "shape": st.lists(st.one_of(st.integers(-1, 3), _NUMBERS), max_size=3),
            "data_offsets": st.lists(st.integers(-1, 24), min_size=1, max_size=3),
        }
    )
    header = _json(
        draw(st.dictionaries(st.text(max_size=3), st.one_of(entry, _VALUES), max_size=3))
    )
    length = draw(st.one_of(st.just(len(header)), st.integers(0, 2**64 - 1)))
    return length.to_bytes(8, "little") + header + draw(st.binary(max_size=24))


def inputs(name: str, target: Target) -> st.SearchStrategy[bytes]:
    """What a target is given."""
    lines = st.lists(_VALUES.map(_json), max_size=4).map(b"\n".join)
    made = {"tensors": _headed(), "run": st.tuples(st.binary(min_size=1, max_size=1), lines).map(
        b"".join
    )}  # fmt: skip
    return st.one_of(_changed(target.seeds), made.get(name, lines), st.binary(max_size=64))
