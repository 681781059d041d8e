"""Has training data sorted into what stays and what goes."""

from __future__ import annotations

import json
from dataclasses import asdict

from pipeline.contract.results.curation import Curation, CurationRequest, curation_of
from tui.processes.request import answered


def make_curation(request: CurationRequest) -> Curation:
    """Asks for the folder and waits until it is whole: as long as reading the data takes.

    Raises:
        HeadwaterError: what the request is about is wrong, or not there.
    """
    asked = json.dumps(asdict(request))  # on stdin: of many prompts it is too long for a command
    failed = "the data could not be sorted"
    return curation_of(answered("pipeline.curation", failed, text=asked)["curation"])
