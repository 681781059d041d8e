"""The columns of public benchmarks as their prompts need them, so that a wrong row is found before
any model is loaded; further columns are passed over."""

from __future__ import annotations

import ast
import json
from contextlib import suppress
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, Field, model_validator

from pipeline.evaluation.instructions import check

Text = Annotated[str, Field(min_length=1)]
Four = Annotated[list[str], Field(min_length=4, max_length=4)]
OneOfFour = Annotated[int, Field(ge=0, le=3)]


class MmluRow(BaseModel):
    """cais/mmlu."""

    question: Text
    choices: Four
    answer: OneOfFour


class HellaswagRow(BaseModel):
    """Rowan/hellaswag."""

    activity_label: Text
    ctx: Text
    ctx_a: str
    ctx_b: str
    endings: Four
    label: OneOfFour


class Targets(BaseModel):
    """Answers to choose from, and which of them are true."""

    choices: list[str]
    labels: list[Literal[0, 1]]

    @model_validator(mode="after")
    def _one_is_true(self) -> Self:
        if len(self.choices) != len(self.labels) or 1 not in self.labels:
            raise ValueError("a label for each choice is needed, and one of them must be 1")
        return self


class TruthfulQaRow(BaseModel):
    """truthful_qa, multiple_choice."""

    question: Text
    mc1_targets: Targets
    mc2_targets: Targets


class Labelled(BaseModel):
    """Texts to choose from, each with its label."""

    text: list[str]
    label: list[str]


class ArcRow(BaseModel):
    """ai2_arc."""

    question: Text
    choices: Labelled
    answerKey: str

    @model_validator(mode="after")
    def _key_is_a_label(self) -> Self:
        labels = self.choices.label
        if len(labels) != len(self.choices.text) or self.answerKey not in labels:
            raise ValueError(f"answerKey {self.answerKey!r} is none of the labels {labels}")
        return self


class BoolqRow(BaseModel):
    """boolq."""

    question: Text
    passage: Text
    answer: bool


class WinograndeRow(BaseModel):
    """allenai/winogrande; the sentence has a gap, "_"."""

    sentence: Annotated[str, Field(pattern="_")]
    option1: Text
    option2: Text
    answer: Literal["1", "2"]


class MathqaRow(BaseModel):
    """regisss/math_qa."""

    Problem: Text
    options: Text
    correct: Literal["a", "b", "c", "d", "e"]
    category: str


def _kinds(value: object) -> object:
    """What the hub has as text: {"Categorical Reasoning": True, …}, by Python or by JSON."""
    if not isinstance(value, str):
        return value
    for read in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, RecursionError, MemoryError):
            return read(value)
    return value


class LogiqaRow(BaseModel):
    """baber/logiqa2."""

    text: str
    question: Text
    options: Four
    answer: OneOfFour
    type: Annotated[dict[str, bool], BeforeValidator(_kinds)]


class BbqRow(BaseModel):
    """heegyu/bbq."""

    context: Text
    question: Text
    ans0: str
    ans1: str
    ans2: str
    label: Annotated[int, Field(ge=0, le=2)]


class Gsm8kRow(BaseModel):
    """gsm8k; the number stands behind "#### " on a line of its own."""

    question: Text
    answer: Annotated[str, Field(pattern="\n#### .")]


class LambadaRow(BaseModel):
    """EleutherAI/lambada_openai; a passage that ends with a word."""

    text: Annotated[str, Field(pattern=r"\S\s.*\w$")]


class Spans(BaseModel):
    """Accepted answers."""

    spans: Annotated[list[str], Field(min_length=1)]


class DropRow(BaseModel):
    """ucinlp/drop."""

    section_id: Text
    passage: Text
    question: Text
    answers_spans: Spans


class Accepted(BaseModel):
    """Accepted answers."""

    text: Annotated[list[str], Field(min_length=1)]


class SquadRow(BaseModel):
    """rajpurkar/squad."""

    title: Text
    context: Text
    question: Text
    answers: Accepted


class BigBenchRow(BaseModel):
    """lukaemon/bbh."""

    input: Text
    target: Text


class IfevalRow(BaseModel):
    """google/IFEval; its rows carry None for every argument that an instruction does not take."""

    prompt: Text
    instruction_id_list: Annotated[list[str], Field(min_length=1)]
    kwargs: list[dict[str, object]]

    @model_validator(mode="after")
    def _one_each(self) -> Self:
        if len(self.instruction_id_list) != len(self.kwargs):
            raise ValueError("instruction_id_list and kwargs are of different length")
        self.kwargs = [{k: v for k, v in one.items() if v is not None} for one in self.kwargs]
        for name, arguments in zip(self.instruction_id_list, self.kwargs, strict=True):
            check(name, arguments)
        return self


class HumanevalRow(BaseModel):
    """openai_humaneval."""

    prompt: Text
    test: Text
    entry_point: Text
