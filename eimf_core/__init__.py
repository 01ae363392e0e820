"""The core of eimf: what each step computes, without a command line."""

import os

# onnxruntime tells its maker over the network what it runs, unless this is set before it is loaded
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
