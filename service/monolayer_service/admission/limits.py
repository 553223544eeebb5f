"""What fits into the service at once."""

from dataclasses import dataclass

from monolayer_service.settings import Settings

SMALL_MEGAPIXELS = 17.0
"""Images up to 4096 x 4096 are small: they may have every slot."""

SLOW_UPLOAD_SECONDS = 10.0
"""After this time a body must have come at `SLOWEST_UPLOAD_BYTES_PER_SECOND` from its beginning on."""

SLOWEST_UPLOAD_BYTES_PER_SECOND = 16 << 10
"""Less than any network over which images are sent; a body that comes more slowly is not waited for."""

UPLOADS_A_PLACE = 4
"""How many bodies may be on their way for each request that may run or wait. They take little more than their bytes,
which are bounded by themselves."""


@dataclass(frozen=True)
class GateLimits:
    """What fits at once; `running_megapixels` is the share of large images and, once more, that of small ones."""

    running_requests: int
    waiting_requests: int
    running_megapixels: float
    waiting_megapixels: float
    held_bytes: int
    deadline_seconds: float
    deadline_seconds_per_megapixel: float

    @property
    def places(self) -> int:
        """Requests that may run and wait."""
        return self.running_requests + self.waiting_requests

    @property
    def uploads(self) -> int:
        """Requests whose bodies may be on their way."""
        return UPLOADS_A_PLACE * self.places

    @classmethod
    def of(cls, settings: Settings, running_requests: int) -> "GateLimits":
        """Read the limits from the settings."""
        return cls(
            running_requests=running_requests,
            waiting_requests=settings.waiting_requests,
            running_megapixels=settings.running_megapixels,
            waiting_megapixels=settings.waiting_megapixels,
            held_bytes=settings.held_bytes,
            deadline_seconds=settings.deadline_seconds,
            deadline_seconds_per_megapixel=settings.deadline_seconds_per_megapixel,
        )
