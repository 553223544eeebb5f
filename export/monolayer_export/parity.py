"""Proof by numbers that the exported network is the trained one.

The same uint8 tiles go through Keras and, by a real onnxruntime session, through the exported graph. Probabilities are
compared before rounding, where an error shows in full, and as the uint8 that the service gets.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from monolayer_core.arrays import ImageUInt8, TileBatch
from monolayer_core.model_card import ModelCard
from monolayer_export.canonical import to_bytes
from monolayer_export.convert import FloatPredict, FloatProbabilities
from monolayer_export.errors import ParityError
from monolayer_export.graph import FLOAT_OUTPUT_NAME, INPUT_NAME, OUTPUT_NAME, expose_float_output
from monolayer_export.images import square_crop
from monolayer_export.layout import TO_LAST
from monolayer_export.session import open_session

FLOAT_TOLERANCE = 1e-4
"""Largest difference of a probability.

Both sides compute in float32 and differ in the order of sums, in fused multiply-adds, and because the export multiplies
batch normalisation into the weights. That moves logits by up to 2e-5 in networks of ten to sixty layers, and a
probability by at most a quarter of it. A wrong padding, axis or constant moves it by 1e-2 and more. The tolerance lies
between the two, at a fortieth of a uint8 level."""

LEVEL_TOLERANCE = 1
"""Largest difference of a uint8 probability: both sides may fall on either side of one rounding boundary."""

LEVEL_FRACTION = 1e-3
"""Largest share of uint8 probabilities that differ at all.

A float difference d crosses a rounding boundary with a probability of 255 d: 5e-4 at the 2e-6 that is usual."""

BATCHES = (1, 2, 5)

SIZES_IN_DIVISORS = ((1, 1), (3, 5), (7, 2))
"""Heights and widths in multiples of the divisor: the smallest there is, not square either way, odd multiples."""


@dataclass(frozen=True)
class ParityCase:
    """Tiles for both networks; `side` fixes the session's height and width, as the service does."""

    name: str
    tiles: TileBatch
    side: int | None = None


@dataclass(frozen=True)
class ParityResult:
    """How far the two networks are apart in one case.

    Attributes
    ----------
    float_difference : float
        Largest difference of a probability before rounding.
    level_difference : int
        Largest difference of a uint8 probability.
    differing, values : int
        uint8 probabilities that differ, and all there are.
    """

    name: str
    float_difference: float
    level_difference: int
    differing: int
    values: int


def parity_cases(card: ModelCard, images: Sequence[ImageUInt8], *, seed: int = 0) -> Iterator[ParityCase]:
    """Give tiles of real images, noise and both extremes, in every batch size and, where the card allows, odd sizes.

    Parameters
    ----------
    card
        Says which sizes the network takes.
    images
        Normalised images ``(y, x, channel)``, at least one.
    seed
        Of the noise.
    """
    random = np.random.default_rng(seed)
    side = card.tile_sides[0]
    real = np.stack([square_crop(images[index % len(images)], side) for index in range(max(BATCHES))])
    for batch in BATCHES:
        yield ParityCase(f"{batch} x {side} x {side}, images", real[:batch], side)
    extremes = np.zeros((2, side, side, card.channel_count), np.uint8)
    extremes[1] = 255
    yield ParityCase(f"2 x {side} x {side}, black and white", extremes, side)
    if card.dynamic_size:
        for batch, (rows, columns) in zip(BATCHES, SIZES_IN_DIVISORS, strict=True):
            height, width = rows * card.divisor, columns * card.divisor
            noise = random.integers(0, 256, (batch, height, width, card.channel_count), dtype=np.uint8)
            yield ParityCase(f"{batch} x {height} x {width}, noise", noise)


def compare(model: onnx.ModelProto, reference: FloatPredict, case: ParityCase) -> ParityResult:
    """Run one case through both networks."""
    session = open_session(to_bytes(expose_float_output(model)), side=case.side)
    levels, floats = session.run([OUTPUT_NAME, FLOAT_OUTPUT_NAME], {INPUT_NAME: case.tiles})
    expected = reference(case.tiles)
    level_differences = np.abs(levels.astype(np.int16) - quantize(expected))
    return ParityResult(
        name=case.name,
        float_difference=float(np.abs(floats.transpose(TO_LAST) - expected).max()),
        level_difference=int(level_differences.max()),
        differing=int(np.count_nonzero(level_differences)),
        values=level_differences.size,
    )


def quantize(probabilities: FloatProbabilities) -> TileBatch:
    """uint8 levels of probabilities 0 to 1, halves rounded up.

    Examples
    --------
    >>> quantize(np.array([0.0, 0.5, 1.0], np.float32))
    array([  0, 128, 255], dtype=uint8)
    """
    levels: TileBatch = np.floor(probabilities * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    return levels


def check_parity(results: Sequence[ParityResult]) -> None:
    """Hold the results against the tolerances of this module.

    Raises
    ------
    ParityError
        A case is out of tolerance; NaN is.
    """
    for result in results:
        if not result.float_difference <= FLOAT_TOLERANCE:
            raise ParityError(
                f"{result.name}: ONNX and Keras differ by {result.float_difference:.2g} in a probability, "
                f"more than {FLOAT_TOLERANCE:.0e}"
            )
        if result.level_difference > LEVEL_TOLERANCE:
            raise ParityError(f"{result.name}: uint8 probabilities differ by {result.level_difference} levels")
    differing, values = sum(result.differing for result in results), sum(result.values for result in results)
    if differing > LEVEL_FRACTION * values:
        raise ParityError(
            f"{differing} of {values} uint8 probabilities differ, more than one in {1 / LEVEL_FRACTION:.0f}"
        )
