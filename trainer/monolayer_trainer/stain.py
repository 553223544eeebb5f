"""Changing the amounts of histological stains.

Light passing a stained section is absorbed exponentially, so stains add up in optical density. The vectors of
haematoxylin, eosin and diaminobenzidine are those of Ruifrok and Johnston, "Quantification of histochemical staining by
color deconvolution", Anal. Quant. Cytol. Histol. 23 (2001) 291-299. Scaling each stain is one 3 x 3 matrix on optical
densities.
"""

import cv2
import numpy as np

from monolayer_core.arrays import ImageUInt8

_STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
_STAINS_TO_DENSITY = (_STAINS / np.linalg.norm(_STAINS, axis=1, keepdims=True)).T
_DENSITY_TO_STAINS = np.linalg.inv(_STAINS_TO_DENSITY)
_DENSITY_OF_VALUE = -np.log((np.arange(256, dtype=np.float32) + 1) / 256)


def jitter_stain(image: ImageUInt8, rng: np.random.Generator, strength: float) -> ImageUInt8:
    """Multiply the amount of each stain by its own factor between 1 - `strength` and 1 + `strength`; RGB in and out."""
    factors = 1 + rng.uniform(-strength, strength, 3)
    matrix = (_STAINS_TO_DENSITY * factors) @ _DENSITY_TO_STAINS
    density = cv2.transform(cv2.LUT(image, _DENSITY_OF_VALUE), matrix.astype(np.float32))
    values = cv2.exp(-density) * 256 - 0.5
    return np.asarray(np.clip(values, 0, 255), np.uint8)
