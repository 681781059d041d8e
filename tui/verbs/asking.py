"""The verbs that trace new prompts."""

from __future__ import annotations

import time
from pathlib import Path

import click

from pipeline.contract.errors import UsageError
from pipeline.contract.files import read_text
from pipeline.contract.results.examples import source_label
from pipeline.contract.results.index import load_index_summary
from pipeline.contract.results.origin import OriginWord, explained, origin_word
from pipeline.contract.results.spans import TextTrace
from pipeline.contract.run.asking import WorkerAddress, start_worker, stop_worker, worker
from pipeline.contract.run.asking import ask as put
from pipeline.contract.run.new_run import adding_to_index, change_settings
from pipeline.contract.run.replies import (
    NOT_COMPARABLE,
    AnswerPart,
    AnswerTokens,
    AskedExample,
    ExampleList,
    PromptLoss,
    Query,
    reply_json,
)
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.units import size
from pipeline.contract.wording import why
from tui.printed import narration, tables
from tui.printed.output import echo, echo_json
from tui.processes.tracer import known_trace
from tui.readers.clean import clean
from tui.runs_folder import find_run

_LOOK_S = 0.5
_EXCERPT = 100


@click.command()
@click.argument("run")
@click.argument("prompt", required=False)
@click.option("--completion", help="What to trace.  [default: the model's own greedy answer]")
@click.option("--instead", help="Another completion: why the first rather than this one.")
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
@click.option("--serve", is_flag=True, help="Keep the model warm for many questions, until Ctrl-C.")
@click.pass_obj
def ask(
    runs: Path,
    run: str,
    prompt: str | None,
    completion: str | None,
    instead: str | None,
    top: int,
    as_json: bool,
    serve: bool,
) -> None:
    """Put PROMPT to RUN's model and find the training examples behind the answer.

    The first question makes an index of the examples.
    """
    target = find_run(runs, run)
    if serve and prompt is None:
        narration.bring_up_to_date("index", target)
        _serve(target)
        return
    if serve or prompt is None:
        raise UsageError(
            f'write a prompt: `headwater ask {target.name} "Once upon"`, or --serve alone'
        )
    question = Query(prompt, completion, top, instead).validated()
    narration.bring_up_to_date("index", target)
    with worker(target, _say) as address:
        answer, replies = _listen(address, question)
    trace = known_trace(target, prompt, completion or answer)
    word = origin_word(trace.is_copied if trace else None, replies[-1].taught)
    echo(_origin_told(word, trace), err=True)
    if as_json:
        asked = {"prompt": prompt, "completion": completion or answer}
        other = {"instead": instead} if instead is not None else {}
        record = {**asked, **other, **reply_json(replies[-1]), "verdict": word}
        echo_json(record)
    else:
        if instead is not None:
            echo(clean(why(completion or answer, instead)))
        echo(tables.plain([_row(row) for row in replies[-1].rows]))


@click.command()
@click.argument("run")
@click.option(
    "--add",
    "added",
    multiple=True,
    type=click.Path(exists=True, path_type=Path),
    help="A file or folder of texts to trace questions to beside the training examples.",
)
@click.pass_obj
def index(runs: Path, run: str, added: tuple[Path, ...]) -> None:
    """Make RUN ready for questions; what is added is indexed alone.

    Added texts come with a + before their id: the model has not learnt from them.
    """
    target = find_run(runs, run)
    before = read_text(target.settings)
    if added:
        change_settings(target, adding_to_index(before, added))
    try:
        narration.bring_up_to_date("index", target)
    except SystemExit:
        if added:  # what cannot be indexed must not stay in the way of the rest
            change_settings(target, before)
        raise
    made = load_index_summary(target).value
    echo(f"{made.examples:,} examples indexed, {made.added:,} of them added; {size(made.bytes)}")


def _listen(address: WorkerAddress, question: Query) -> tuple[str, list[ExampleList]]:
    """The model's answer, told on stderr as it comes, and the lists."""
    answer, begun = "", time.monotonic()
    lists: list[ExampleList] = []
    for reply in put(address, question):
        if isinstance(reply, AnswerPart):
            answer += reply.text
            echo(reply.text, err=True, end="")
        elif isinstance(reply, AnswerTokens) and answer:
            echo(err=True)
        elif isinstance(reply, PromptLoss):
            echo(f"{reply.described()}; {NOT_COMPARABLE}", err=True)
        elif isinstance(reply, ExampleList):
            lists.append(reply)
            echo(_list_told(reply, time.monotonic() - begun), err=True)
    return answer, lists


def _say(phase: str) -> None:
    echo(f"{phase} …", err=True)


def _list_told(found: ExampleList, seconds: float) -> str:
    """`exact list after 2.1 s: 1,000 of 1,425 examples scored`."""
    kind = "exact" if found.exact else "first"
    return (
        f"{kind} list after {seconds:.1f} s: {found.scored:,} of {found.examples:,} examples scored"
    )


def _origin_told(word: OriginWord, trace: TextTrace | None) -> str:
    """`copied: at least half of it stands word for word in the training data; 5 of 5 tokens`"""
    if trace is None:
        return f"{word}: its copies were not looked for; `headwater trace` makes the index for it"
    return f"{word}: {explained(word)}; {trace.covered:,} of {trace.tokens:,} tokens are copied"


def _row(row: AskedExample) -> tables.Row:
    return {
        "rank": row.rank,
        "score": row.score,
        "example": clean(row.example_id),
        "from": clean(source_label(row.source, row.row)),
        "text": clean(row.text, _EXCERPT),
    }


def _serve(run: RunDir) -> None:
    address = start_worker(run, say=_say)
    echo(f'ready: `headwater ask {run.name} "…"`; Ctrl-C ends it', err=True)
    try:
        while address.process.is_alive():
            time.sleep(_LOOK_S)
    except KeyboardInterrupt:
        stop_worker(run)
