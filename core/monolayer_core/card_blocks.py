"""The parts of a model card by which an answer says how far it is to be trusted.

They are results of the training like the thresholds: found on labelled images, written to the card, read from it. Each
is optional; without one the answer says nothing of the kind. What is done with the numbers stands in
`monolayer_core.likeness`, `monolayer_core.confluency_uncertainty` and `monolayer_core.object_score`.
"""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, PlainSerializer, model_validator


class CardModel(BaseModel):
    """Base of the card and its parts: frozen, and an unknown field is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _numbers(value: object) -> object:
    return value.split() if isinstance(value, str) else value


def _text(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.6g}" for value in values)


Numbers = Annotated[tuple[FiniteFloat, ...], BeforeValidator(_numbers), PlainSerializer(_text, return_type=str)]
"""Many numbers, of six digits each, written as one text: a matrix of the card has a line a row, not one a number."""

LikenessFeature = Literal[
    "grey_05",
    "grey_25",
    "grey_50",
    "grey_75",
    "grey_95",
    "spread_4px",
    "skew_4px",
    "spread_8px",
    "skew_8px",
    "red_green_mean",
    "blue_green_mean",
    "red_green_deviation",
    "blue_green_deviation",
]
"""What `monolayer_core.likeness.describe` knows of an image."""


class ImageKind(CardModel):
    """One kind of training images: a Gaussian in the space of the features.

    The distance of an image from it is the length of the whitening matrix times (features - centre).
    """

    centre: Numbers
    whitening: tuple[Numbers, ...] = Field(description="lower triangle of a matrix, row by row")


class TrainingLikeness(CardModel):
    """What the training images looked like to the network, and from which distance on an image is unlike them."""

    features: tuple[LikenessFeature, ...] = Field(min_length=1)
    kinds: tuple[ImageKind, ...] = Field(min_length=1)
    max_distance: float = Field(gt=0, description="from the nearest kind; images farther away are flagged")

    @model_validator(mode="after")
    def _check(self) -> "TrainingLikeness":
        count = len(self.features)
        for kind in self.kinds:
            if len(kind.centre) != count or [len(row) for row in kind.whitening] != list(range(1, count + 1)):
                raise ValueError(f"a kind needs a centre of {count} numbers and a triangle of {count} rows")
        return self


ObjectFeature = Literal["uncertain", "boundary", "rim", "ring", "log_area", "raggedness", "at_edge"]
"""What `monolayer_core.object_score.describe_objects` knows of an object."""


class ObjectScore(CardModel):
    """How the IoU of an object is predicted: the logistic function of the intercept plus the weighted features."""

    intercept: FiniteFloat
    weights: dict[ObjectFeature, FiniteFloat]


class ConfluencyUncertainty(CardModel):
    """How far confluency may be off: ``floor_points + slope * uncertain_percent`` percentage points."""

    floor_points: float = Field(ge=0, description="where no pixel is uncertain")
    slope: float = Field(ge=0, description="percentage points per percent of uncertain pixels")
