"""The look of a picture from CLIP: one vector for all of it, and one for each of its patches.

Patch features say what is where (hair, beard, glasses, skin) and so complement the vector of a face recogniser, which
is trained to ignore all that (CapHuman, Liang et al., CVPR 2024).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

from portrait_head.errors import PortraitHeadError
from portrait_head.identity.embedding import IdentityEmbedding, unit
from portrait_head.models.loading import load_pretrained
from portrait_head.models.packages import missing

PREPROCESSOR = "preprocessor_config.json"
CLASS_TOKENS = 1  # stand before the patches in CLIP's sequence


@dataclass(frozen=True)
class _Preprocessing:
    """CLIP's input: the middle square at `size` pixels, each channel shifted by `mean` and divided by `std`."""

    size: int
    mean: np.ndarray
    std: np.ndarray


class ClipPatches:
    """An `IdentityEncoder` over a folder with a CLIP vision model, alone or as part of a whole CLIP."""

    def __init__(self, folder: Path, licence: str, commercial_use: bool, device: str = "cpu") -> None:
        """Load the model.

        Raises:
            PortraitHeadError: `missing_package`, `weights_broken`, `wrong_architecture`, `pack_broken`.
        """
        try:
            from transformers import CLIPVisionModelWithProjection
        except ImportError as error:
            raise missing("transformers", error) from error
        self.name = folder.name
        self._licence, self._commercial_use = licence, commercial_use
        model: Any = load_pretrained(CLIPVisionModelWithProjection, folder, part_of_file=True)
        self._model = model.to(device)
        self._preprocessing = _read_preprocessing(folder, self._model.config.image_size)

    def embed(self, image: np.ndarray) -> IdentityEmbedding:
        """Encode `image` ([H, W, 3] uint8 sRGB); its middle square is what counts."""
        pixels = torch.from_numpy(_prepare(image, self._preprocessing))[None].to(self._model.device)
        with torch.no_grad():
            found = self._model(pixel_values=pixels)
        patches = found.last_hidden_state[0, CLASS_TOKENS:].float().cpu().numpy()
        return IdentityEmbedding(
            unit(found.image_embeds[0].double().cpu().numpy()),
            patches,
            quality=min(1.0, min(image.shape[:2]) / self._preprocessing.size),
            encoder=self.name,
            licence=self._licence,
            commercial_use=self._commercial_use,
        )


def _read_preprocessing(folder: Path, size: int) -> _Preprocessing:
    try:
        values = json.loads((folder / PREPROCESSOR).read_text(encoding="utf-8"))
        mean, std = (np.array(values[key], np.float32) for key in ("image_mean", "image_std"))
    except (OSError, ValueError, KeyError) as error:
        raise PortraitHeadError(
            "pack_broken",
            f"{PREPROCESSOR} in {folder} cannot be read.",
            f"Get the pack again with: portrait-head models download {folder.name}",
        ) from error
    return _Preprocessing(size, mean, std)


def _prepare(image: np.ndarray, how: _Preprocessing) -> np.ndarray:
    """[H, W, 3] uint8 to [3, size, size] float32."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side]
    # Area averaging for shrinking is what Pillow's antialiased bicubic, with which CLIP was trained, comes closest to.
    kernel = cv2.INTER_AREA if side > how.size else cv2.INTER_CUBIC
    resized = cv2.resize(square, (how.size, how.size), interpolation=kernel).astype(np.float32) / 255.0
    return np.ascontiguousarray(((resized - how.mean) / how.std).transpose(2, 0, 1))
