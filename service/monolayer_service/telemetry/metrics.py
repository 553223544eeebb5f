"""Prometheus metrics of one application; every name ends in its unit.

They live in a registry of their own, so that two applications can stand in one process (as in tests).
"""

from typing import get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)

from monolayer_service.telemetry.timings import Stage

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900)
_TILES = (1, 2, 4, 8, 16, 32, 64)
_MEGAPIXELS = (0.01, 0.07, 0.3, 1.1, 4.2, 17, 68, 270, 512)


class Metrics:
    """The numbers an operator watches: traffic, time, load, refusals and faults."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.request_duration = Histogram(
            "monolayer_request_duration_seconds",
            "Time from the first byte of a request to the last of its answer.",
            ["route", "status"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.stage_duration = Histogram(
            "monolayer_stage_duration_seconds",
            f"Time in each stage: {', '.join(get_args(Stage))}.",
            ["stage"],
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.image_size = Histogram(
            "monolayer_image_size_megapixels",
            "Size of the images that were analysed.",
            ["method"],
            buckets=_MEGAPIXELS,
            registry=self.registry,
        )
        self.objects = Counter("monolayer_objects_total", "Objects found.", ["method"], registry=self.registry)
        self.faults = Counter(
            "monolayer_faults_total",
            "Times a network could not answer as asked, by what was done next: half_batch, cpu, kmeans or refused.",
            ["next"],
            registry=self.registry,
        )
        self.reloads = Counter(
            "monolayer_reloads_total",
            "Times the bundles were loaded anew: complete, partial (one was refused) or failed (nothing has changed).",
            ["outcome"],
            registry=self.registry,
        )
        self.bundles = Gauge(
            "monolayer_loaded_bundles",
            "Bundles by state: ready, stale (its successor in the folder was refused), degraded or broken.",
            ["state"],
            registry=self.registry,
        )
        self.refusals = Counter(
            "monolayer_refusals_total", "Requests refused or given up by admission.", ["reason"], registry=self.registry
        )
        self.disconnects = Counter(
            "monolayer_disconnected_requests_total",
            "Callers who went away before they had their answer; their work is left at once.",
            registry=self.registry,
        )
        self.running = Gauge("monolayer_running_requests", "Requests being computed.", registry=self.registry)
        self.waiting = Gauge("monolayer_waiting_requests", "Requests waiting for their turn.", registry=self.registry)
        self.running_size = Gauge("monolayer_running_megapixels", "Megapixels being computed.", registry=self.registry)
        self.waiting_size = Gauge(
            "monolayer_waiting_megapixels", "Megapixels waiting for their turn.", registry=self.registry
        )
        self.queued_tiles = Gauge(
            "monolayer_queued_tiles", "Tiles waiting for their turn in a network.", registry=self.registry
        )
        self.tile_wait = Histogram(
            "monolayer_tile_wait_seconds",
            "Time a tile waited for its turn in a network.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        self.batch_size = Histogram(
            "monolayer_batch_size_tiles",
            "Tiles in one run of a network.",
            buckets=_TILES,
            registry=self.registry,
        )
        self.network_busy = Counter(
            "monolayer_network_busy_seconds_total",
            "Time in which a network ran; its rate is the utilisation over any time.",
            registry=self.registry,
        )
        self.utilisation = Gauge(
            "monolayer_network_utilisation_ratio",
            "Share of the time in which a network ran: the mean over about the last minute.",
            registry=self.registry,
        )
        self.held = Gauge("monolayer_held_bytes", "Request bodies held in memory.", registry=self.registry)

    def render(self) -> bytes:
        """Write all metrics in Prometheus' text format."""
        return generate_latest(self.registry)
