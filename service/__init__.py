"""The HTTP side and the store."""

import sys

# redis looks for OpenTelemetry's SDK when it is imported, for metrics that nobody here reads: 0.1 s
# of CPU and 3 MB in each process. `tracing/exporting.py` imports the SDK where there are traces.
sys.modules.setdefault("opentelemetry.sdk.metrics", None)  # type: ignore[arg-type]  # "no such"
