"""How crops are filled with more cells than their image shows; the work is done in `copy_paste`."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

Fraction = Annotated[float, Field(ge=0, le=1)]


class DenseConfig(BaseModel):
    """How often and how far crops are filled. Lengths are in pixels of the image at its own scale."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    probability: Fraction = Field(0.6, description="share of crops that are filled")
    coverage_low: Fraction = Field(0.1, description="least coverage a crop is filled to; drawn uniformly")
    coverage_high: Fraction = Field(1.0, description="greatest coverage a crop is filled to")
    places: int = Field(4, ge=1, description="places tried for a crop to be filled beyond one half; the densest is cut")
    donor_images: int = Field(3, ge=1, description="most images that give cells to one crop")
    single: Fraction = Field(
        0.6, description="share of donors that are one cell; the others are cells that lie together"
    )
    scale_spread: float = Field(0.15, ge=0, lt=1, description="largest relative change of a donor's size")
    contrast_spread: float = Field(0.25, ge=0, lt=1, description="largest relative change of a donor's contrast")
    rim_px: float = Field(9.0, ge=0, description="width of the margin that is pasted with a cell, for its halo")
    seam_low: Fraction = Field(
        0.1, description="least part of a halo left where another cell meets it; drawn uniformly"
    )
    touching: float = Field(0.5, ge=0, description="how much places beside other cells are preferred; up to this")
    smallest_piece: Fraction = Field(0.12, description="pieces of a cell below this part of its area are not pasted")
    strip_px: int = Field(7, ge=1, description="strips of a cell narrower than this are not pasted")
    closed_gap_px: float = Field(
        14.0, ge=0, description="narrower gaps count as cell in a full layer; less the sparser, none at 60 % coverage"
    )
    most_donors: int = Field(60, ge=1, description="donors tried for one crop")

    def at(self, scale: float) -> "DenseConfig":
        """Give the same for images shrunk to a part of their size: lengths shrink with them."""
        lengths = {"rim_px": self.rim_px * scale, "closed_gap_px": self.closed_gap_px * scale}
        return self.model_copy(update=lengths | {"strip_px": max(round(self.strip_px * scale), 1)})

    @model_validator(mode="after")
    def _check(self) -> "DenseConfig":
        if self.coverage_low > self.coverage_high:
            raise ValueError("coverage_low must not exceed coverage_high")
        return self
