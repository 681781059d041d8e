"""Has training data sorted into what stays and what goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict

from pipeline.contract.results.curation import (
    Curation,
    CurationPreview,
    CurationRequest,
    curation_of,
    preview_of,
)
from tui.processes.request import Request


class Curator:
    """A process that sorts the training data of a run once."""

    def __init__(self) -> None:
        self._request = Request("pipeline.curation", "the data could not be sorted")

    def preview(self, request: CurationRequest) -> CurationPreview:
        """What would go; waits as long as the scores are read.

        Raises:
            HeadwaterError: what the request is about is wrong, or not there.
        """
        return preview_of(self._request.answer(_asked(request))["preview"])

    def make(
        self, request: CurationRequest, heard: Callable[[int], object] = lambda rows: None
    ) -> Curation:
        """Has the folder made and waits until it is whole; `heard` gets the rows read so far.

        Raises:
            HeadwaterError: what the request is about is wrong, or not there.
        """
        return curation_of(self._request.answer(_asked(request), heard)["curation"])

    def stop(self) -> None:
        """Ends the process: no folder is left half made."""
        self._request.stop()


def _asked(request: CurationRequest) -> str:
    return json.dumps(asdict(request))  # on stdin: of many prompts it is too long for a command
