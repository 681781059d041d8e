"""A benchmark question, its choices, and how likely each model finds them."""

from __future__ import annotations

from textual.content import Content

from pipeline.contract.results.benchmark_questions import AnsweredQuestion, Reply
from pipeline.contract.results.generation import MODELS, ModelName
from tui.content.ink import fit
from tui.readers.clean import clean, clean_lines

_CUT = 8000
_CHOICE = 600
_BAR = 12

Styled = Content | str | tuple[str, str]


def question_text(question: AnsweredQuestion) -> Content:
    """The question as it was put, without its few-shot examples."""
    return Content(clean_lines(question.prompt, _CUT))


def replies_text(question: AnsweredQuestion) -> Content:
    """★ before the right choices; ▸ after the share of the one that a model takes."""
    lines = _choices(question) if question.choices else _written(question)
    notes = [_cut_note(question)] if any(r.cut for r in question.replies.values()) else []
    return Content("\n").join([*lines, *notes])


def _choices(question: AnsweredQuestion) -> list[Content]:
    models = [model for model in MODELS if model in question.replies]
    head = "".join(f"{model:<{_BAR + 18}}" for model in models)
    lines = [Content.styled(f"  {head}", "$secondary")]
    for position, choice in enumerate(question.choices):
        is_right = choice in question.gold
        mark = ("★ ", "bold $warning") if is_right else "  "
        shares = [part for model in models for part in _share(question, model, position)]
        lines.append(Content.assemble(mark, *shares))
        words = clean_lines(choice, _CHOICE).replace("\n", "\n    ")
        lines.append(Content.assemble("    ", (words, "bold" if is_right else "")))
    lines.append(Content.styled(_legend(question), "$secondary"))
    return lines


def _share(question: AnsweredQuestion, model: ModelName, position: int) -> list[Styled]:
    """`━━━━━━──────  52 % ▸ -3.12`: share of all choices, whether it is taken, log-likelihood."""
    reply = question.replies[model]
    if position >= len(reply.log_likelihoods):
        return [(fit("does not fit the model", _BAR + 18), "$secondary")]
    share, likelihood = reply.shares[position], reply.log_likelihoods[position]
    if question.by_length:
        likelihood /= max(1, len(question.choices[position]))
    full = round(share * _BAR)
    taken = question.choices[position] == question.pick(reply)
    return [
        ("━" * full, "$accent"),
        ("─" * (_BAR - full), "$secondary"),
        f"{share:>5.0%} ",
        ("▸" if taken else " ", "bold $accent"),
        f"{likelihood:>8.2f}  ",
    ]


def _legend(question: AnsweredQuestion) -> str:
    per = "log-likelihood a character, nats" if question.by_length else "log-likelihood, nats"
    return f"★ right   ▸ taken   bar: share of all choices' probability   number: {per}"


def _written(question: AnsweredQuestion) -> list[Content]:
    right = " | ".join(clean(text, 200) for text in question.gold)
    lines = [Content.assemble(("right: ", "$secondary"), (right, "bold"))]
    for model in MODELS:
        if reply := question.replies.get(model):
            lines.append(Content.assemble((f"\n{model}: ", "$secondary"), *_prose(reply)))
    return lines


def _prose(reply: Reply) -> list[Styled]:
    if reply.score is None:
        return [("does not fit the model", "$secondary")]
    ink = "$success" if reply.score == 1 else "$error"
    answer = (clean(reply.prediction, _CHOICE) or "nothing", f"bold {ink}")
    return [answer, f"\n{clean_lines(reply.text, _CUT)}"]


def _cut_note(question: AnsweredQuestion) -> Content:
    cut = max(reply.cut for reply in question.replies.values())
    note = f"{cut:,} tokens of the few-shot examples did not fit before the question"
    return Content.styled(note, "$warning")
