"""What runs networks tells its makers nothing."""

import os
import sys


def disable_runtime_telemetry() -> None:
    """Switch off what ONNX Runtime and OpenVINO would report, and the files they would keep for that in the home.

    Both look when they are imported: what ONNX Runtime offers for later (``disable_telemetry_events``) comes too late,
    and OpenVINO reports the import itself. Without its package for reports OpenVINO takes a stub of its own. An
    operator who has set ONNX Runtime's variable is not overruled.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type] # None: importing it fails
