"""Stage prepare: reads the corpus, gives every example an id, tokenizes, finds near-duplicates.

Three passes over the documents, none of which holds them all in memory:
documents.parquet (cleaned, with ids) → chunks.parquet (tokenized) → examples and validation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from pipeline.contract.errors import DataError, UsageError
from pipeline.contract.results.examples import (
    NO_GROUP,
    CorpusSummary,
    iterate_contents,
    read_document_ids,
    read_tokens,
    split_examples,
    write_corpus_summary,
    write_examples,
)
from pipeline.contract.results.plan import write_plan
from pipeline.contract.run import freshness
from pipeline.contract.run.events import EventWriter
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import Prompt, load_prompts, save_prompts
from pipeline.contract.settings.schema import Settings
from pipeline.corpus import demo
from pipeline.corpus.chat import require_template, set_template
from pipeline.corpus.cutting import ExampleBuilder, document_batches, write_documents
from pipeline.corpus.duplicates import DuplicateIndex
from pipeline.corpus.examples import encode_prompt, encode_question
from pipeline.corpus.ids import DocumentIds
from pipeline.corpus.labelling import require_embedded
from pipeline.corpus.read_counts import ReadCounts
from pipeline.corpus.split import held_out, named_documents
from pipeline.corpus.tokenizers import pretrained_tokenizer, train_tokenizer
from pipeline.corpus.unknown import check_unknown, unknown_share
from pipeline.influence.coverage import examine
from pipeline.model import (
    check_weights,
    context_length,
    embedding_count,
    load_tokenizer,
    model_config,
    require_models,
)
from pipeline.planning.plan import plan_run
from pipeline.training.adapting import planned

_NEARLY_ALL = 0.95
"""Share of the chosen weights above which what is not traced is no reason to warn."""


def run(settings: Settings, run_dir: RunDir, events: EventWriter) -> None:
    """Writes examples.parquet, validation.parquet, prompts.jsonl, tokenizer/, summary.json, and the
    run's plan."""
    prompts = _prompts(settings, run_dir)
    if freshness.RunFreshness(settings, run_dir).has_corpus():
        events.note("the corpus is as it was: only the prompts are read again")
        _check_fit(prompts, settings, load_tokenizer(run_dir.tokenizer), events)
        _check_relevant(prompts, _documents(run_dir), events)
    else:
        run_dir.corpus_mark.unlink(missing_ok=True)
        _read_corpus(prompts, settings, run_dir, events)
        freshness.mark_corpus(settings, run_dir)
    save_prompts(run_dir.prepared_prompts, prompts)
    with suppress(UsageError):  # the device that the settings want may be another machine's
        write_plan(run_dir, plan_run(run_dir, settings))


def _read_corpus(
    prompts: list[Prompt], settings: Settings, run_dir: RunDir, events: EventWriter
) -> None:
    """Everything but the prompts, which are checked as soon as they can be."""
    folder = run_dir.stage("prepare")
    documents, chunks = folder / "documents.parquet", folder / "chunks.parquet"
    _remove_leftovers(folder)
    events.plan(_parts(settings))
    events.doing("looking at the model")
    reading = ReadCounts(strict=settings.data.strict, warn=events.warning)

    require_models(settings)
    named = named_documents(Path(settings.data.held_out)) if settings.data.held_out else None
    if settings.tokenizer.source != "train":  # before the reading, which may take hours
        _save_tokenizer(pretrained_tokenizer(settings), prompts, settings, run_dir)
        _check_fit(prompts, settings, load_tokenizer(run_dir.tokenizer), events)
    ids = write_documents(documents, settings.data, settings.run.seed, reading, events)
    reading.require_share(settings.data.min_read_share)
    events.note(f"read {reading.described()}")
    _check_relevant(prompts, ids, events)
    if settings.tokenizer.source == "train":
        texts = _texts(documents, len(ids), events)
        trained = train_tokenizer(texts, settings.tokenizer.vocab_size)
        _save_tokenizer(trained, prompts, settings, run_dir)
        _check_fit(prompts, settings, load_tokenizer(run_dir.tokenizer), events)
    tokenizer = load_tokenizer(run_dir.tokenizer)

    embeddings = embedding_count(model_config(settings, tokenizer))
    examples = ExampleBuilder(tokenizer, settings.data, ids, embeddings)
    write_examples(chunks, examples.rows(documents, reading, events), examples.with_turns)
    check_unknown(unknown_share(read_tokens(run_dir, chunks), tokenizer), events)
    reading.warn_of_losses()
    groups = _duplicate_groups(run_dir, chunks, len(examples.documents), settings, events)
    events.doing("writing the examples")
    away = _held_out(examples.documents, groups, settings, named, events)
    split_examples(chunks, groups, away, run_dir.examples, run_dir.validation)

    summary = _summary(settings, reading, examples, groups, away, len(tokenizer))
    write_corpus_summary(run_dir, summary)
    documents.unlink()
    chunks.unlink()


def _parts(settings: Settings) -> dict[str, float]:
    """The passes over the documents; near-duplicates take about as long as two of the others."""
    trains = {"training the tokenizer": 1.0} if settings.tokenizer.source == "train" else {}
    return {"reading": 1.0, **trains, "tokenizing": 1.0, "near-duplicates": 2.0}


def _save_tokenizer(
    tokenizer: PreTrainedTokenizerBase, prompts: list[Prompt], settings: Settings, run_dir: RunDir
) -> None:
    """Saves the tokenizer, with the chat template that the settings name.

    Raises:
        ModelError: conversations are to be written and there is no template that can.
    """
    set_template(tokenizer, settings.data.chat_template)
    if settings.data.form == "chat":
        require_template(tokenizer, 'data.form = "chat"')
    for prompt in prompts:
        if prompt.messages:
            require_template(tokenizer, f"prompt {prompt.id!r}, a conversation,")
    tokenizer.save_pretrained(run_dir.tokenizer)


def _remove_leftovers(folder: Path) -> None:
    """Half-written files of an attempt that was killed."""
    for file in folder.glob(".*"):
        file.unlink()


def _prompts(settings: Settings, run_dir: RunDir) -> list[Prompt]:
    if settings.data.source == "demo":
        made = demo.generate(settings.run.seed)[1]
        if settings.data.form == "chat":
            return [Prompt.of_messages(p.id, p.messages, p.relevant) for p in made]
        return [
            Prompt(id=p.id, prompt=p.prompt, completion=p.completion, relevant=p.relevant)
            for p in made
        ]
    return load_prompts(run_dir.prompts, settings.prompts.use_generated)


def _check_fit(
    prompts: list[Prompt],
    settings: Settings,
    tokenizer: PreTrainedTokenizerBase,
    events: EventWriter,
) -> None:
    """Refuses a tokenizer, a chunk length, a module or a prompt that does not fit the model."""
    config = model_config(settings, tokenizer)
    covered = examine(config, settings.modules, planned(settings))
    if covered.left_out:
        tell = events.note if covered.share > _NEARLY_ALL else events.warning
        tell(covered.sentence)
    context = context_length(config)
    for prompt in (*prompts, *(other for prompt in prompts if (other := prompt.other))):
        asked, answer = _encoded(prompt, settings, tokenizer)
        what = f"prompt {prompt.id!r}"
        require_embedded(asked + answer, embedding_count(config), tokenizer, what)
        length = len(asked) + max(1, len(answer))  # the model's own answer has a token at least
        if context is not None and length > context:
            what = "its completion" if answer else "a single token of an answer"
            raise DataError(
                f"prompt {prompt.id!r} with {what} is {length:,} tokens long, "
                f"more than the model's context, {context:,}",
                "shorten it",
            )
    check_weights(settings)


def _encoded(
    prompt: Prompt, settings: Settings, tokenizer: PreTrainedTokenizerBase
) -> tuple[list[int], list[int]]:
    """The prompt's tokens, and its completion's where it has one."""
    if settings.prompts.use_generated and not prompt.completion.strip():
        return encode_question(tokenizer, prompt), []
    return encode_prompt(tokenizer, prompt)


def _documents(run_dir: RunDir) -> set[str]:
    """Ids of the documents that the examples come from."""
    files = (run_dir.examples, run_dir.validation)
    return {name for path in files for name in read_document_ids(run_dir, path)}


def _check_relevant(
    prompts: list[Prompt], ids: set[str] | DocumentIds, events: EventWriter
) -> None:
    for prompt in prompts:
        if missing := [name for name in prompt.relevant if name not in ids]:
            more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
            events.warning(
                f"prompt {prompt.id!r}: relevant documents that the corpus lacks: "
                f"{', '.join(missing[:5])}{more}"
            )


def _texts(documents: Path, total: int, events: EventWriter) -> Iterator[str]:
    done = 0
    for batch in document_batches(documents):
        yield from (document.text for document in batch)
        done += len(batch)
        events.progress(done, total, "documents", "training the tokenizer")


def _duplicate_groups(
    run_dir: RunDir, chunks: Path, total: int, settings: Settings, events: EventWriter
) -> list[int]:
    index, done = DuplicateIndex(settings.data.duplicate_threshold), 0
    for texts in iterate_contents(run_dir, chunks):
        index.add(texts)
        done += len(texts)
        events.progress(done, total, "examples", "near-duplicates")
    return index.groups()


def _held_out(
    documents: list[str],
    groups: list[int],
    settings: Settings,
    named: set[str] | None,
    events: EventWriter,
) -> set[str]:
    """Documents for validation, those `named` where some are; of the demo only those that teach
    nothing it asks about."""
    data = settings.data
    if named is not None:
        if lacking := sorted(named - set(documents)):
            events.warning(
                f"{len(lacking):,} of the {len(named):,} documents that data.held_out names are "
                f"not in the corpus, as {lacking[0]}"
            )
        return named & set(documents)
    may_hold_out = demo.is_filler if data.source == "demo" else lambda name: True
    away = held_out(documents, groups, data.validation_fraction, settings.run.seed, may_hold_out)
    if data.validation_fraction and not away:
        events.warning(
            "too few documents to hold any out: there will be no validation loss "
            f"(data.validation_fraction = {data.validation_fraction})"
        )
    return away


def _summary(
    settings: Settings,
    reading: ReadCounts,
    examples: ExampleBuilder,
    groups: list[int],
    away: set[str],
    vocab_size: int,
) -> CorpusSummary:
    validation = sum(name in away for name in examples.documents)
    sizes = Counter(group for group in groups if group != NO_GROUP)
    return CorpusSummary(
        source=settings.data.path or settings.data.source,
        documents_read=reading.rows,
        empty=reading.empty,
        unreadable=reading.unreadable,
        documents=len(set(examples.documents)),
        chunked_documents=examples.chunked,
        examples=len(examples.documents) - validation,
        validation_examples=validation,
        tokens=examples.tokens,
        duplicate_groups=len(sizes),
        duplicates=sum(sizes.values()),
        vocab_size=vocab_size,
        form=settings.data.form,
        answers=examples.answers,
        answers_dropped=examples.dropped,
        rewritten=examples.rewritten,
        refused=dict(examples.refused.most_common()),
        bytes_read=reading.bytes,
        lines_read=reading.lines,
        read_share=reading.share,
        files=reading.files(),
    )
