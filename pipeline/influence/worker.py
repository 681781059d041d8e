"""Helps a stage in this process: `python -m pipeline.influence.worker STAGE RUN_DIR`.

Refuses where it would compute something else than the stage; ends when the stage does.
"""

from __future__ import annotations

import sys
from pathlib import Path

from pipeline.contract.errors import CancelledError, HeadwaterError, exhausted
from pipeline.contract.files import lenient_output
from pipeline.contract.run.freshness import RunFreshness
from pipeline.contract.run.run_dir import RunDir
from pipeline.contract.run.workers import read_offer, require_same
from pipeline.contract.settings.loading import load_settings
from pipeline.libraries import limit_threads, restrain_libraries


def main(stage: str, run: RunDir) -> int:
    """Helps the stage, if it is at work; returns the exit code."""
    lenient_output()
    restrain_libraries()
    try:
        _help(stage, run)
        return 0
    except KeyboardInterrupt:
        return CancelledError.exit_code
    except HeadwaterError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except Exception as error:
        if lack := exhausted(error, run.root):
            print(lack, file=sys.stderr)
            return lack.exit_code
        raise


def _help(stage: str, run: RunDir) -> None:
    offer = read_offer(run, stage)
    if offer is None:
        return
    settings = load_settings(run.settings)
    require_same(offer, stage, RunFreshness(settings, run).fingerprint(stage), run)
    limit_threads(settings)  # before torch is imported and sizes its pool
    from pipeline.influence.helping import help_stage

    help_stage(stage, settings, run, offer)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], RunDir(Path(sys.argv[2]))))
