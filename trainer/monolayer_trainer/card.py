"""The draft of the model card: what the trainer knows of a network. The export completes it."""

from collections.abc import Sequence

import numpy as np

from monolayer_core.model_card import ModelCard, Thresholds, TrainingData
from monolayer_trainer.config import MOBILENET_SIDE, TrainConfig
from monolayer_trainer.dataset import Dataset, Sample
from monolayer_trainer.image_cache import diameters_px
from monolayer_trainer.targets import outputs

TILE_SIDES = (256, 512, 1024, 2048)
PROVISIONAL_HALO_PX = 96
"""Until the export has measured the halo: about what a trained U-Net of four levels needs (it reaches 100 pixels)."""

MAX_MEASURED_IMAGES = 200


def draft_card(
    config: TrainConfig,
    dataset: Dataset,
    training: Sequence[Sample],
    *,
    thresholds: Thresholds | None = None,
    object_diameter_px: float | None = None,
) -> ModelCard:
    """Describe the network that `config` asks for, fitted to these images of the data set."""
    fixed = config.architecture == "mobilenet-unet"
    sizes = {sample.pixel_size_um for sample in training}
    return ModelCard(
        name=config.name,
        version=config.version,
        task=config.kind,
        confluency_of=dataset.confluency_of,
        channels=config.channels,
        input_scale=config.input_scale,
        outputs=outputs(config.targets(dataset.classes)),
        tile_sides=(MOBILENET_SIDE,) if fixed else TILE_SIDES,
        # 128 - 2 x 32 pixels are kept of each tile of the fixed network.
        halo=MOBILENET_SIDE // 4 if fixed else PROVISIONAL_HALO_PX,
        divisor=config.divisor,
        dynamic_size=not fixed,
        # One number only where all images agree.
        pixel_size_um=sizes.pop() if len(sizes) == 1 else None,
        object_diameter_px=object_diameter_px,
        thresholds=thresholds or Thresholds(),
        training_data=TrainingData(
            name=dataset.name,
            licence=dataset.licence,
            source=dataset.source,
            images=len(training),
            objects=sum(sample.objects for sample in training),
        ),
    )


def median_diameter_px(dataset: Dataset, samples: Sequence[Sample]) -> float | None:
    """Median diameter of the circles of the objects' areas, in pixels; None without objects.

    Evenly chosen images suffice; at most `MAX_MEASURED_IMAGES` are read.
    """
    step = -(-len(samples) // MAX_MEASURED_IMAGES)
    diameters = np.concatenate([diameters_px(dataset.read(sample)[1]) for sample in samples[::step]])
    return float(np.median(diameters)) if diameters.size else None
