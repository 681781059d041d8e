"""Before anything imports torch: waiting threads sleep, as they do in the stages; and no test
meets the runs of whoever starts the tests."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # files are tested at the same time
os.environ.pop("HEADWATER_RUNS", None)
