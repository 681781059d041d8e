"""Which folders or hub names a run's models and its tokenizer come from."""

from __future__ import annotations

from pathlib import Path

from huggingface_hub import snapshot_download
from transformers.utils.peft_utils import find_adapter_config_file

from pipeline.contract.errors import ModelError
from pipeline.contract.files import expanded
from pipeline.contract.run.stages import adapters_base
from pipeline.contract.settings.schema import Settings
from pipeline.pretrained.folders import has_tokenizer, require_adapter
from pipeline.pretrained.hub import from_hub_or_folder

NAME, TRAINED = "model.name", "model.trained"
"""The settings, as messages call them."""
_ADAPTER_FILES = ["adapter_*", "*token*", "vocab*", "merges.txt", "*.jinja", "*.model"]


def ready_adapter(settings: Settings) -> Path | None:
    """The local folder of the adapter that model.trained names; None where it names none.

    Raises:
        HubUnreachableError: it is on the hub and the hub does not answer.
        ModelError: the folder, or the repository on the hub, does not exist or is no adapter alone.
    """
    name = settings.model.trained
    if not name:
        return None
    found = from_hub_or_folder(find_adapter_config_file, name, TRAINED)
    if found is None:
        return None
    folder = Path(name) if Path(name).is_dir() else _downloaded(name)
    require_adapter(folder, TRAINED)
    return folder


def base_name(settings: Settings) -> str:
    """Hub name or folder of the model before training; empty where none is known."""
    if settings.model.name:
        return settings.model.name
    adapter = ready_adapter(settings)
    if adapter is None:
        return ""
    named = adapters_base(adapter)
    path = expanded(named)
    # a path of another machine, or relative to a folder that nobody knows any more
    if not named or named.startswith(".") or (path.is_absolute() and not path.is_dir()):
        told = f"sits on {named}, which is not here" if named else "does not say on which it sits"
        raise ModelError(
            f"{TRAINED}: the adapter in {adapter} {told}", "name its base in model.name"
        )
    return named


def analysed(settings: Settings) -> tuple[str, str]:
    """Name of the whole model that is analysed, or that its adapter sits on, and its setting."""
    if settings.model.trained and ready_adapter(settings) is None:
        return settings.model.trained, TRAINED
    return base_name(settings), NAME


def whole_models(settings: Settings) -> list[tuple[str, str]]:
    """Name and setting of each whole model that is loaded: the analysed one, and its base."""
    if settings.model.init == "scratch":
        return []
    found = dict.fromkeys([analysed(settings), (base_name(settings), NAME)])
    return [(name, setting) for name, setting in found if name]


def tokenizer_source(settings: Settings) -> tuple[str, str]:
    """Name of what the model's own tokenizer is taken from, and its setting.

    That of a model trained elsewhere goes first: it may know tokens that its base does not. Some
    checkpoints and many adapters come without one; then it is the base's.
    """
    trained = settings.model.trained
    if not trained:
        return settings.model.name, NAME
    adapter = ready_adapter(settings)
    folder = adapter or Path(trained)
    if (adapter or folder.is_dir()) and not has_tokenizer(folder):
        return base_name(settings), NAME
    return str(folder) if adapter else trained, TRAINED


def _downloaded(name: str) -> Path:
    """The adapter's files, which are small, from the hub's cache or the hub."""

    def fetch(place: str) -> Path:
        return Path(snapshot_download(place, allow_patterns=_ADAPTER_FILES))

    return from_hub_or_folder(fetch, name, TRAINED)
