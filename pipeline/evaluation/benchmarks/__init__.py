"""DeepEval's benchmarks with their faults corrected; importing this quiets DeepEval first."""

import os

# read by DeepEval when it is imported: no telemetry, no ./.deepeval, no .env into the environment
os.environ["DEEPEVAL_TELEMETRY_OPT_OUT"] = "1"
os.environ["DEEPEVAL_DISABLE_DOTENV"] = "1"
os.environ["DEEPEVAL_DISABLE_LEGACY_KEYFILE"] = "1"
os.environ.pop("CONFIDENT_API_KEY", None)
os.environ.pop("DEEPEVAL_UPDATE_WARNING_OPT_IN", None)
