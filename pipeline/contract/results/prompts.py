"""prompts.jsonl of prepare: the prompts that every later stage reads."""

from __future__ import annotations

from pipeline.contract.errors import SettingsError
from pipeline.contract.results.common import damaged, missing, require_same
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.settings.prompts import Prompt, load_prompts

_STAGE = "prepare"


def read_prompts(run: RunDir, use_generated: bool = True) -> list[Prompt]:
    """The prompts in their order; `use_generated`: they need no completion.

    Raises:
        MissingResultError: there is no such file.
        DamagedResultError: it is not what the stage writes.
    """
    path = run.prepared_prompts
    require_same(run, _STAGE, path)
    if not path.exists():
        raise missing(run, _STAGE, path)
    try:
        return load_prompts(path, use_generated)
    except SettingsError as error:
        raise damaged(run, _STAGE, path, error.message) from error
