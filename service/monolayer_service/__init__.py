"""The HTTP service: masks, counts and confluency from posted images."""

from monolayer_core.runtime_telemetry import disable_runtime_telemetry

disable_runtime_telemetry()  # here, since no module of this package can import a runtime earlier
