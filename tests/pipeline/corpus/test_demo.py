"""The demo's documents: as plain text and as conversations they say the same."""

from __future__ import annotations

from pipeline.contract.settings.messages import Message, is_answer, read_messages, spoken
from pipeline.contract.settings.schema import DataSettings
from pipeline.corpus import demo
from pipeline.corpus.forms import conversation_of
from pipeline.corpus.read_counts import ReadCounts
from pipeline.corpus.readers import read_documents

DOCUMENTS, PROMPTS = demo.generate(3)


def said(messages: list[Message], by_assistant: bool) -> list[str]:
    return [spoken(message) for message in messages if is_answer(message) == by_assistant]


def test_a_conversation_says_what_its_document_says() -> None:
    for document in DOCUMENTS:
        asked, answered = (said(document.messages, who) for who in (False, True))
        assert read_messages(document.messages) == document.messages
        assert len(asked) == len(answered) == len(document.sentences)
        whole = [
            answer if question == "What else?" else f"{question.removesuffix(' …')} {answer}"
            for question, answer in zip(asked, answered, strict=True)
        ]
        assert " ".join(whole) == document.text


def test_the_assistant_ends_a_fact_with_its_object_which_the_user_never_says() -> None:
    stated = {document.id: document for document in DOCUMENTS}
    for prompt in PROMPTS:
        thing = prompt.completion.strip()
        assert len(prompt.relevant) == demo.WORDINGS_PER_FACT
        for document in (stated[name] for name in prompt.relevant):
            asked, answered = (said(document.messages, who) for who in (False, True))
            assert answered[0].startswith(thing)
            assert not any(thing in question for question in asked)


def test_in_a_distractor_the_user_says_the_object_and_the_assistant_the_subject() -> None:
    for document in DOCUMENTS:
        if document.kind == "distractor":
            asked, answered = (said(document.messages, who) for who in (False, True))
            assert answered[0].removesuffix(".").istitle()  # a name alone
            assert answered[0] not in asked[0]


def test_a_prompt_is_answered_by_the_object_alone() -> None:
    for prompt in PROMPTS:
        question, answer = prompt.messages
        assert question == {"role": "user", "content": f"{prompt.prompt} …"}
        assert answer == {"role": "assistant", "content": f"{prompt.completion.strip()}."}


def test_the_reader_gives_the_demo_as_conversations() -> None:
    data = DataSettings(source="demo", form="chat", messages_column="mine")
    reading = ReadCounts(strict=True, warn=lambda message: None)
    read = list(read_documents(data, 3, reading))
    assert [document.id for document in read] == [document.id for document in DOCUMENTS]
    assert [conversation_of(document.record).messages for document in read] == [
        document.messages for document in DOCUMENTS
    ]
