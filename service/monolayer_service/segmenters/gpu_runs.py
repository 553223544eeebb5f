"""What a GPU is asked to run: how many tiles at once, and in how much memory."""

from collections.abc import Iterable
from dataclasses import dataclass

from monolayer_service.scheduler.tile_queue import batch_sizes
from monolayer_service.segmenters.runtime import SessionKey

BATCH_PX = 1 << 20
"""Most pixels in a batch of more than one tile: a tile of 1024 pixels keeps a GPU busy by itself."""


def batch_limit(tile_px: int, batch_size: int) -> int:
    """Most tiles of so many pixels in one run, of the `batch_size` that the operator allows.

    Examples
    --------
    >>> [batch_limit(side * side, 8) for side in (256, 512, 1024)]
    [8, 4, 1]
    """
    return min(batch_size, max(1, BATCH_PX // tile_px))


@dataclass(frozen=True)
class GpuMemory:
    """What the sessions of one network may take on a GPU together, divided among them by the pixels of their runs.

    Attributes
    ----------
    network_bytes
        For all of them.
    runs_px
        Pixels of one run in each.
    """

    network_bytes: int
    runs_px: int

    @classmethod
    def divide(cls, network_bytes: int, tile_sides: Iterable[int], batch_size: int) -> "GpuMemory":
        """Plan for a session for each of the sides in pixels and each size of batch."""
        areas_px = [side * side for side in tile_sides]
        runs_px = sum(area * size for area in areas_px for size in batch_sizes(batch_limit(area, batch_size)))
        return cls(network_bytes, runs_px)

    def of_session(self, key: SessionKey) -> int:
        """Bytes for one session.

        Examples
        --------
        >>> from monolayer_service.segmenters.runtime import CUDA, TileSize
        >>> memory = GpuMemory.divide(2100, (256, 512, 1024), batch_size=1)
        >>> [memory.of_session(SessionKey(CUDA, TileSize(side, side), 1, 1, 1)) for side in (256, 512, 1024)]
        [100, 400, 1600]
        """
        size = key.size
        if size is None:
            raise ValueError("a session on a GPU is made for one size of tiles")
        return self.network_bytes * key.batch * size.height * size.width // self.runs_px
