"""Calls of transformers that a hub name or a folder is given to, with clear errors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled
from safetensors import SafetensorError

from pipeline.contract.errors import HubUnreachableError, ModelError

T = TypeVar("T")


def from_hub_or_folder(load: Callable[[str], T], name: str, setting: str) -> T:
    """Calls `load(name)` and turns its errors into clear messages.

    `setting`: the setting that gave the name, for the messages.

    Raises:
        HubUnreachableError: the hub does not answer, or offline mode is on.
        ModelError: the folder, or the repository on the hub, does not exist or cannot be loaded.
    """
    require_unambiguous(name, setting)
    try:
        return load(name)
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        if not Path(name).is_dir() and _is_connection_failure(error):
            raise _unreachable(name, setting) from error
        raise ModelError(f"{setting} = {name!r}: {_first_line(error)}") from error


def require_unambiguous(name: str, setting: str) -> None:
    """Refuses a folder that is not there, and a hub name that a library would take for a folder.

    Names are resolved when a run is made. Whatever lies in the folder that a stage happens to be
    started from must not change what a run reads.

    Raises:
        ModelError: it is one of these.
    """
    path = Path(name)
    if path.is_absolute() and not path.is_dir():
        raise ModelError(f"{setting}: there is no folder {name}")
    if not path.is_absolute() and path.is_dir():
        raise ModelError(
            f"{setting} = {name!r} is a hub name in this run, but there is a folder of that name "
            f"in {Path.cwd()}",
            "write the folder's whole path into the setting, or start from another folder",
        )


def _unreachable(name: str, setting: str) -> HubUnreachableError:
    hint = (
        f"try again with the hub in reach, or name a local folder in {setting}; a model from "
        "scratch needs no hub: `headwater init --profile from-scratch`"
    )
    return HubUnreachableError(f"the hub does not answer, and {name!r} is not cached here", hint)


def _is_connection_failure(error: BaseException | None) -> bool:
    """Whether a failed connection, not a missing file, caused the error."""
    # transformers raises a plain OSError; the cause tells both apart
    while error is not None:
        if isinstance(error, HfHubHTTPError):
            return False
        if isinstance(error, OfflineModeIsEnabled | LocalEntryNotFoundError | ConnectionError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
