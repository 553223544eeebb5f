"""What the platform asks: alive, ready, metrics, version. None of it waits for a turn."""

import platform
from importlib.metadata import version
from typing import Any

import onnxruntime
from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from monolayer_service.dependencies import AppServices
from monolayer_service.schemas import ErrorAnswer, Health, Version

router = APIRouter(tags=["platform"])

_LIBRARIES = ("fastapi", "numpy", "opencv-python-headless", "pydantic", "starlette", "uvicorn")
_NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {
        "model": ErrorAnswer,
        "description": "Names each bundle that is not usable or missing, or says what keeps networks from running",
    }
}


@router.get("/livez", summary="Is the process alive?")
async def livez() -> Health:
    """Answer as long as the event loop turns."""
    return Health(status="alive")


@router.get("/readyz", summary="Should requests be sent here?", responses=_NOT_READY)
async def readyz(services: AppServices) -> Health:
    """Answer 200 when every bundle of the folder is loaded and verified, or there is none, and networks can run.

    A default bundle that was set and is not among them is an error too.
    """
    services.check_ready()
    return Health(status="ready", models=list(services.registry.bundles))


@router.get("/metrics", summary="Metrics for Prometheus", response_class=Response)
async def metrics(services: AppServices) -> Response:
    """Write all metrics in Prometheus' text format."""
    return Response(services.metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})


@router.get("/version", summary="What is running?")
async def version_of_service(services: AppServices) -> Version:
    """Name the versions of the service and of the libraries that shape its answers."""
    named = _LIBRARIES + (("openvino",) if services.settings.cpu_runtime == "openvino" else ())
    return Version(
        service=version("monolayer-service"),
        core=version("monolayer-core"),
        python=platform.python_version(),
        libraries={"onnxruntime": onnxruntime.__version__} | {name: version(name) for name in named},
    )
