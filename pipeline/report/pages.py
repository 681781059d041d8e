"""Fills the two templates; whatever they print is escaped unless it is marked as markup."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from pipeline.contract.results.benchmarks import scoring_title
from pipeline.contract.results.evaluation import ModelAnswer
from pipeline.contract.results.origin import explained
from pipeline.contract.results.spans import parted
from pipeline.contract.units import duration, size
from pipeline.contract.wording import shorten
from pipeline.report import text
from pipeline.report.facts import RunFacts


def _pieces(answer: ModelAnswer) -> Iterator[tuple[str, bool]]:
    """The answer, and which of it is copied."""
    return parted(answer.answer, answer.copies.begins if answer.copies else 0, answer.copies)


_FORMATS = {
    "figure": text.figure,
    "decimal": text.decimal,
    "count": text.count,
    "percent": text.percent,
    "duration": duration,
    "size": size,
    "shorten": shorten,
    "scoring": scoring_title,
    "score": text.score,
    "signed": text.signed,
    "p_value": text.p_value,
    "measure": text.measure,
    "change": text.change,
    "pieces": _pieces,
    "explained": explained,
    "toml": lambda value: json.dumps(value, ensure_ascii=False),
}


def html_page(facts: RunFacts, pictures: Mapping[str, str], **more: Any) -> str:
    """One page with everything inside; `pictures` are SVG by name."""
    environment = _environment(autoescape=True)
    environment.finalize = lambda value: value if isinstance(value, Markup) else _shown(value)
    sources = {name: _data_uri(svg) for name, svg in pictures.items()}
    style = Markup((files(__package__) / "templates" / "report.css").read_text("utf-8"))
    template = environment.get_template("report.html.j2")
    return template.render(facts=facts, pictures=sources, style=style, **more)


def markdown_page(facts: RunFacts, pictures: Mapping[str, str], **more: Any) -> str:
    """The same in Markdown; `pictures` are paths beside the page by name."""
    environment = _environment(autoescape=False)
    environment.filters["raw"] = Markup
    environment.finalize = lambda value: (
        value if isinstance(value, Markup) else text.markdown(_known(value))
    )
    return environment.get_template("report.md.j2").render(facts=facts, pictures=pictures, **more)


def _environment(autoescape: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(_FORMATS)
    return environment


def _shown(value: object) -> object:
    return text.visible(value) if isinstance(value, str) else _known(value)


def _known(value: object) -> object:
    return text.MISSING if value is None else value


def _data_uri(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
