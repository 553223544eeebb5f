"""``GET /v1/models``: what is in the folder, and how it runs here."""

from typing import Any

from fastapi import APIRouter

from monolayer_service.dependencies import AppServices, Services
from monolayer_service.registry import Bundle
from monolayer_service.schemas import BundleInfo, BundleList, ErrorAnswer
from monolayer_service.segmenters.runtime import TileSize

router = APIRouter(tags=["models"])

_UNKNOWN: dict[int | str, dict[str, Any]] = {404: {"model": ErrorAnswer, "description": "Unknown model"}}


@router.get("/v1/models", summary="List the bundles")
async def list_models(services: AppServices) -> BundleList:
    """List every bundle of the folder, also those that could not be loaded, with the reason."""
    return BundleList(models=[describe(bundle, services) for bundle in services.registry.bundles.values()])


@router.get("/v1/models/{name}", summary="Describe one bundle", responses=_UNKNOWN)
async def show_model(name: str, services: AppServices) -> BundleInfo:
    """Give one bundle's card and the execution provider that is really in use."""
    return describe(services.registry.require(name), services)


def describe(bundle: Bundle, services: Services) -> BundleInfo:
    """Put together what a caller or an operator may want to know of a bundle."""
    defaults = {"/v1/segment": services.settings.segment_model, "/v1/confluency": services.settings.confluency_model}
    segmenter = bundle.segmenter
    network = segmenter.network if segmenter else None
    return BundleInfo(
        name=bundle.name,
        state=bundle.state,
        problem=bundle.problem or bundle.stale_because,
        provider=network.provider if network else None,
        precision=network.precision if network else None,
        sha256=network.sha256 if network else None,
        tile_sides=list(segmenter.tile_sides) if segmenter else [],
        warm_tile_sides=[side for side in segmenter.tile_sides if segmenter.network.is_warm(TileSize(side, side))]
        if segmenter
        else [],
        default_of=[call for call, name in defaults.items() if name == bundle.name],
        card=network.card if network else None,
    )
