"""Sorts training data in this process: `python -m pipeline.curation`, the request on stdin as JSON.

Prints one JSON object: {"curation": …}, or {"error": …, "hint": …, "exit_code": …}.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import Any

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.results.curation import CurationRequest, curation_request_of
from pipeline.curation.curate import curate


def main(request: CurationRequest) -> int:
    """Answers a request."""
    try:
        answer: dict[str, Any] = {"curation": asdict(curate(request))}
    except HeadwaterError as error:
        answer = {"error": error.message, "hint": error.hint, "exit_code": error.exit_code}
    print(json.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main(curation_request_of(json.load(sys.stdin))))
