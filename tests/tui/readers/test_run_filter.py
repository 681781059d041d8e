"""The filter of a list of runs."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.contract.run.remarks import Remarks
from tui.readers.run_facts import Figures, RunFacts
from tui.readers.run_filter import EXAMPLE, FIELDS, Filter, FilterError, parse

HOUR = 3600.0
GOOD = RunFacts(
    run="good-1",
    state="done",
    stage="report",
    model="TinyLlama/TinyLlama_v1.1 + LoRA",
    data="books",
    figures=Figures(loss=0.5, train_loss=0.2, mrr=0.9),
    remarks=Remarks(("best", "final"), "the one in the paper"),
    time=0.0,
    size=3 << 20,
)
FAILED = RunFacts(
    run="bad",
    state="failed",
    stage="train",
    model="nano",
    data="demo",
    figures=Figures(loss=1.5),
    remarks=Remarks(("bestial",), ""),
    time=0.0,
)


def kept(text: str) -> list[str]:
    now = time.time()
    found = [replace(GOOD, time=now - 50 * HOUR), replace(FAILED, time=now - 0.5 * HOUR)]
    return [facts.run for facts in found if parse(text)(facts)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "good-1 bad"),
        ("PAPER", "good-1"),
        ("the paper", "good-1"),
        ('"one paper"', ""),
        ('"the one"', "good-1"),
        ("-paper", "bad"),
        ('-"the one"', "bad"),
        ("loss<0.6", "good-1"),
        ("loss>=0.5 loss<=1.5", "good-1 bad"),
        ("-loss<0.6", "bad"),
        ("loss:1.5", "bad"),
        ("loss!=1.5", "good-1"),
        ("mrr<1", "good-1"),
        ("-mrr<1", "bad"),
        ("lds>-9", ""),
        ("train_loss<1e0", "good-1"),
        ("tag:best", "good-1"),
        ("TAG:Best", "good-1"),
        ("tag!=best", "bad"),
        ("state:done", "good-1"),
        ("state:don", ""),
        ("model:tinyllama", "good-1"),
        ('note:"in the"', "good-1"),
        ("-note:paper", "bad"),
        ("age<2h", "bad"),
        ("age<1", "bad"),
        ("age>2d", "good-1"),
        ("age<40m", "bad"),
        ("size>2M", "good-1"),
        ("size>=3MiB", "good-1"),
        ("size>1G", ""),
        ("loss<0.6 tag:final state:done -word", "good-1"),
        ('"run:bad"', ""),
        ("-", "good-1"),
        ('"-1"', "good-1"),
        ('""', "good-1 bad"),
    ],
)
def test_every_term_must_hold(text: str, expected: str) -> None:
    assert kept(text) == expected.split()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("lost<3", "there is no field 'lost'; fields: run, state,"),
        ("http://x", "there is no field 'http'"),
        ("loss<", "loss is compared with a number: loss<0.6"),
        ("loss<much", "loss is compared with a number: loss<0.6"),
        ("age<2w", "with m, h, d behind it: age<2d"),
        ("tag<3", "tag is text: tag:word; numbers are loss,"),
        ("tag:", "tag: what?"),
        ('note:"in the', 'a quote is not closed: "in the'),
    ],
)
def test_what_cannot_be_read_is_told_with_what_there_is(text: str, told: str) -> None:
    with pytest.raises(FilterError) as error:
        parse(text)
    assert told in error.value.message


def test_the_example_can_be_read_and_every_field_be_named() -> None:
    assert isinstance(parse(EXAMPLE), Filter)
    for field in FIELDS:
        assert isinstance(parse(f"{field}:1"), Filter)


PIECES = st.sampled_from(
    [*FIELDS, "<", "<=", "!=", ":", '"', "-", " ", "1", "0.6", "2d", "x", "\n"]
)


@given(st.one_of(st.text(), st.lists(PIECES).map("".join)))
def test_any_text_is_a_filter_or_said_to_be_none(text: str) -> None:
    try:
        found = parse(text)
    except FilterError:
        return
    assert found(GOOD) in (True, False)
