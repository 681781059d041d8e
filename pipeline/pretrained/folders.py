"""Looks into a model's folder before a library does: what it holds, and what it lacks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

from transformers.utils import (
    CONFIG_NAME,
    SAFE_WEIGHTS_INDEX_NAME,
    SAFE_WEIGHTS_NAME,
    WEIGHTS_INDEX_NAME,
    WEIGHTS_NAME,
)
from transformers.utils.peft_utils import (
    ADAPTER_CONFIG_NAME,
    ADAPTER_SAFE_WEIGHTS_NAME,
    ADAPTER_WEIGHTS_NAME,
)

from pipeline.contract.errors import ModelError
from pipeline.contract.files import read_object

_POINTER = b"version https://git-lfs.github.com/spec/"
_READ = (".safetensors", ".bin", ".json", ".model", ".txt")
"""Suffixes of files that are read of a model's folder."""
_VOCABULARIES = (
    "tokenizer.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
    "vocab.json",
    "vocab.txt",
    "*.tiktoken",
    "tekken.json",
)
"""Files of which one must be there for a tokenizer to know a word."""
_LISTED = 8


def require_model(folder: Path, setting: str) -> None:
    """Checks that the folder holds one model and nothing else; its weights are `require_weights`'.

    Raises:
        ModelError: it holds an adapter, several checkpoints, no configuration, or pointers in place
            of files.
    """
    if is_adapter(folder):
        _refuse_adapter(folder, setting)
    require_files(folder, setting)
    if not (folder / CONFIG_NAME).exists():
        _refuse_without_config(folder, setting)


def require_adapter(folder: Path, setting: str) -> None:
    """Checks that the folder holds an adapter with its weights, and no whole model beside it.

    Raises:
        ModelError: it does not.
    """
    require_files(folder, setting)
    if has_weights(folder):
        _refuse_both(folder, setting)
    adapter_weights(folder, setting)


def is_adapter(folder: Path) -> bool:
    """Whether the folder holds an adapter of the library peft."""
    return (folder / ADAPTER_CONFIG_NAME).exists()


def has_weights(folder: Path) -> bool:
    """Whether the folder holds weights of a whole model, or says that it does."""
    names = (SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME, WEIGHTS_NAME, WEIGHTS_INDEX_NAME)
    return any((folder / name).exists() for name in names)


def has_tokenizer(folder: Path) -> bool:
    """Whether the folder holds a tokenizer's vocabulary, not its settings alone."""
    return any(any(folder.glob(pattern)) for pattern in _VOCABULARIES)


def require_tokenizer(folder: Path, setting: str) -> None:
    """Checks that the folder holds a tokenizer that knows words.

    Raises:
        ModelError: there is none, only its settings, or a pointer in its place.
    """
    require_files(folder, setting)
    if has_tokenizer(folder):
        return
    advice = "it needs a tokenizer.json, as save_pretrained() writes it"
    if settings := sorted(path.name for path in folder.glob("*token*.json")):
        raise ModelError(
            f"{setting}: the folder {folder} holds a tokenizer's settings ({', '.join(settings)}) "
            "and no vocabulary, so every word would be unknown to it",
            advice,
        )
    raise ModelError(f"{setting}: the folder {folder} holds no tokenizer", advice)


def require_files(folder: Path, setting: str) -> None:
    """Refuses Git-LFS pointers: a few lines of text in place of a file that was not fetched.

    Raises:
        ModelError: names them.
    """
    if pointers := [path.name for path in _files(folder) if _is_pointer(path)]:
        raise ModelError(
            f"{setting}: in {folder} {_listed(pointers)} "
            f"{'is a Git LFS pointer' if len(pointers) == 1 else 'are Git LFS pointers'}, "
            "not the content itself",
            "`git lfs pull` in that folder fetches it",
        )


def require_weights(folder: Path, setting: str) -> None:
    """Checks that the weights are there, every shard of them.

    Raises:
        ModelError: names what is missing.
    """
    if not has_weights(folder):
        raise ModelError(
            f"{setting}: {folder} has a {CONFIG_NAME} and no weights: no {SAFE_WEIGHTS_NAME}",
            _contents(folder),
        )
    if (folder / SAFE_WEIGHTS_NAME).exists():
        return
    for index in (SAFE_WEIGHTS_INDEX_NAME, WEIGHTS_INDEX_NAME):
        missing = [name for name in _shards(folder / index) if not (folder / name).exists()]
        if missing:
            raise ModelError(
                f"{setting}: {folder} lacks {_listed(missing)}, which {index} names",
                "copy the whole folder again",
            )


def weight_files(folder: Path) -> list[Path]:
    """The files of a folder's weights, in the order in which transformers looks for them."""
    for whole, index in (
        (SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_INDEX_NAME),
        (WEIGHTS_NAME, WEIGHTS_INDEX_NAME),
    ):
        if (folder / whole).exists():
            return [folder / whole]
        if (folder / index).exists():
            return [folder / name for name in _shards(folder / index)]
    return []


def adapter_weights(folder: Path, setting: str) -> Path:
    """The file of an adapter's weights.

    Raises:
        ModelError: there is none.
    """
    for name in (ADAPTER_SAFE_WEIGHTS_NAME, ADAPTER_WEIGHTS_NAME):
        if (folder / name).exists():
            return folder / name
    raise ModelError(
        f"{setting}: {folder} has an {ADAPTER_CONFIG_NAME} and no {ADAPTER_SAFE_WEIGHTS_NAME}",
        _contents(folder),
    )


def _refuse_adapter(folder: Path, setting: str) -> NoReturn:
    if has_weights(folder):
        _refuse_both(folder, setting)
    raise ModelError(
        f"{setting}: {folder} holds an adapter, not a model",
        "name the adapter in model.trained, and the model that it sits on in model.name",
    )


def _refuse_both(folder: Path, setting: str) -> NoReturn:
    raise ModelError(
        f"{setting}: {folder} holds a whole model and an adapter beside it; which of the two is "
        "meant cannot be told",
        f"put the adapter ({ADAPTER_CONFIG_NAME}, {ADAPTER_SAFE_WEIGHTS_NAME}) into a folder of "
        "its own: it belongs into model.trained, the model that it sits on into model.name",
    )


def _refuse_without_config(folder: Path, setting: str) -> NoReturn:
    checkpoints = sorted(folder.glob("checkpoint-*/"), key=lambda path: path.name)
    if checkpoints:
        names = [path.name for path in checkpoints]
        raise ModelError(
            f"{setting}: {folder} holds {len(names)} checkpoints of a training, not one model",
            f"name one of them: {_listed(names)}",
        )
    raise ModelError(f"{setting}: {folder} has no {CONFIG_NAME}", _contents(folder))


def _shards(index: Path) -> list[str]:
    """Names of the files that an index of weights lists."""
    files = (read_object(index) or {}).get("weight_map")
    return sorted(set(files.values())) if isinstance(files, dict) else []


def _contents(folder: Path) -> str:
    """What there is instead, as a hint."""
    names = sorted(path.name + "/" * path.is_dir() for path in folder.iterdir())
    if any(name.endswith(".gguf") for name in names):
        return "a GGUF file is not read: take the model that it was made from"
    if any(name.startswith(("global_step", "pytorch_model_fsdp")) for name in names):
        return (
            "a sharded checkpoint is not read: DeepSpeed's zero_to_fp32.py, or "
            "`accelerate merge-weights`, makes one model of it"
        )
    return f"it holds {_listed(names)}" if names else "it is empty"


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.iterdir()) if path.suffix in _READ and path.is_file())


def _is_pointer(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(_POINTER)) == _POINTER
