"""Before anything imports torch: waiting threads sleep, as they do in the stages."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
