"""Sorts training data in this process: `python -m pipeline.curation`, the request on stdin as JSON.

Prints JSON objects, a line each: {"progress": rows read}, as often as there is something to say;
at last {"curation": …}, {"preview": …} where no folder is asked for, or an error's record.
"""

from __future__ import annotations

import json
import signal
import sys
from dataclasses import asdict
from typing import Any

from pipeline.contract.errors import HeadwaterError
from pipeline.contract.results.curation import CurationRequest, curation_request_of
from pipeline.curation.curate import curate, preview


def main(request: CurationRequest) -> int:
    """Answers a request."""
    try:
        answer = _answer(request)
    except HeadwaterError as error:
        answer = error.record()
    print(json.dumps(answer))
    return 0


def _answer(request: CurationRequest) -> dict[str, Any]:
    if not request.out:
        return {"preview": asdict(preview(request))}
    return {"curation": asdict(curate(request, _tell))}


def _tell(count: int) -> None:
    print(json.dumps({"progress": count}), flush=True)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # what is half written is taken away
    sys.exit(main(curation_request_of(json.load(sys.stdin))))
