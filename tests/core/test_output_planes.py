"""Each output where the card says it is, whatever the order."""

import numpy as np
import pytest

from monolayer_core.errors import PredictionError
from monolayer_core.model_card import ModelCard, Output, TrainingData
from monolayer_core.output_planes import split_outputs


def card(*roles):
    return ModelCard(
        name="toy",
        version="1",
        task="instances",
        confluency_of="cell",
        channels="grey",
        outputs=tuple(Output(name=f"output{index}", role=role) for index, role in enumerate(roles)),
        tile_sides=(32,),
        halo=8,
        divisor=8,
        training_data=TrainingData(name="none", licence="none", source="none", images=0, objects=0),
    )


def split(values, *roles):
    planes = split_outputs(np.array(values, dtype=np.uint8).reshape(1, 1, -1), card(*roles))
    inside = [plane.item() for plane in planes.inside]
    boundary = None if planes.boundary is None else planes.boundary.item()
    return inside, planes.foreground.item(), boundary, planes.seed_map.item()


@pytest.mark.parametrize(
    ("values", "roles", "expected"),
    [
        ([90], ["class"], ([90], 90, None, 90)),
        ([90, 60], ["class", "class"], ([90, 60], 150, None, 150)),
        ([30, 90], ["boundary", "class"], ([90], 120, 30, 60)),
        ([200, 90, 30], ["distance", "class", "boundary"], ([90], 120, 30, 130)),
        ([90, 60, 110], ["class", "class", "boundary"], ([90, 60], 255, 110, 40)),
    ],
    ids=["one class", "two classes", "a boundary", "a distance", "carried above one by rounding"],
)
def test_foreground_is_all_but_background_and_seeds_lie_away_from_boundaries(values, roles, expected):
    assert split(values, *roles) == expected


def test_other_outputs_than_those_of_the_card_are_refused():
    with pytest.raises(PredictionError, match="2 outputs of the model card"):
        split([1, 2, 3], "class", "boundary")
