"""Hair that hangs over the face, where the hair mask takes it for skin."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.sparse import coo_matrix, diags
from scipy.sparse.linalg import splu

# Indices of MediaPipe's face mesh: brows but for their ends, eyes, nose, mouth, chin and the front of the cheeks.
_BARE = (
    33, 7, 163, 144, 145, 153, 154, 155, 133, 362, 382, 381, 380, 374, 373, 390, 249, 263,
    63, 105, 66, 107, 336, 296, 334, 293, 8, 98, 327, 61, 291, 17, 199, 175, 50, 280, 205, 425, 101, 330, 118, 347,
)  # fmt: skip
_SKIN, _HAIR, _OTHER = range(3)


@dataclass(frozen=True)
class StrandConfig:
    """Lengths in shares of the distance between the pupils."""

    pixels: float = 44.0  # between the pupils, at which the picture is looked at: strands, not single hairs
    margin: float = 0.5  # round the face
    blur: float = 0.7  # of those pixels
    sure_hair: float = 0.06  # from the hair mask's border inwards
    sure_neck: float = 0.25  # from the skin mask's border inwards, below the face
    stranger: float = 0.4  # share of person under which a pixel is surely none
    lightness: float = 0.6  # its say in a difference of colour; light changes it more than hue
    contrast: float = 6.0  # an edge as strong as the mean holds a walker back by exp of this
    leak: float = 1e-4  # what gets through any edge


def hair_over_face(
    image: np.ndarray,
    landmarks: np.ndarray,
    face: np.ndarray,
    person: np.ndarray,
    hair: np.ndarray,
    skin: np.ndarray,
    config: StrandConfig = StrandConfig(),
) -> np.ndarray:
    """How likely [S, S] float32 a pixel of the face is hair: who would walk from there to hair first, not to skin.

    A strand on a cheek has no colour that shaded skin might not have, but there is an edge between the two, and none
    between the strand and the hair that it hangs down from. A walker who is held back by edges tells them apart (Grady,
    "Random Walks for Image Segmentation", 2006).

    Args:
        image: [S, S, 3] uint8 sRGB.
        landmarks: [478, 3] pixels.
        face: [S, S] bool, where the face is, whatever covers it.
        person, hair, skin: [S, S] float32, 0 to 1.
        config: sizes.
    """
    unit = float(np.linalg.norm(landmarks[473, :2] - landmarks[468, :2]))
    rows, columns = np.nonzero(face)
    out = np.zeros(hair.shape, np.float32)
    if len(rows) == 0:
        return out
    low = np.maximum(np.array([columns.min(), rows.min()]) - config.margin * unit, 0).astype(int)
    high = np.minimum(np.array([columns.max(), rows.max()]) + config.margin * unit, hair.shape[1]).astype(int)
    window = np.s_[low[1] : high[1], low[0] : high[0]]
    scale = min(1.0, config.pixels / unit)
    size = (max(int((high[0] - low[0]) * scale), 2), max(int((high[1] - low[1]) * scale), 2))
    seeds = _seeds(landmarks, face, person, hair, skin, unit, config)[window]
    small = cv2.resize(image[window], size, interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    seeds = cv2.resize(seeds, size, interpolation=cv2.INTER_NEAREST)
    if not (seeds == _HAIR).any() or not (seeds == _SKIN).any():
        return out
    likely = _arrival(small, seeds, config)[..., _HAIR]
    out[window] = cv2.resize(likely, (high[0] - low[0], high[1] - low[1]), interpolation=cv2.INTER_LINEAR)
    return out * face


def _seeds(
    landmarks: np.ndarray,
    face: np.ndarray,
    person: np.ndarray,
    hair: np.ndarray,
    skin: np.ndarray,
    unit: float,
    config: StrandConfig,
) -> np.ndarray:
    """[S, S] int8: what a pixel surely is, -1 where that is to be found out."""
    bare = np.zeros(face.shape, np.uint8)
    cv2.fillConvexPoly(bare, cv2.convexHull(np.rint(landmarks[list(_BARE), :2]).astype(np.int32)), (1,))
    below = np.arange(len(face))[:, None] > landmarks[152, 1]  # the chin
    seeds = np.full(face.shape, -1, np.int8)
    seeds[~face & (person < config.stranger)] = _OTHER
    seeds[_inside(skin > 0.5, config.sure_neck * unit) & below & ~face] = _SKIN
    seeds[_inside(hair > 0.5, config.sure_hair * unit)] = _HAIR
    seeds[bare > 0] = _SKIN
    return seeds


def _inside(mask: np.ndarray, margin: float) -> np.ndarray:
    """The part of a mask [S, S] bool that is farther than `margin` pixels from its border."""
    return cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) > margin


def _arrival(picture: np.ndarray, seeds: np.ndarray, config: StrandConfig) -> np.ndarray:
    """[h, w, 3] float32: how likely a walker from each pixel comes first to a seed of each kind."""
    lab = cv2.cvtColor(cv2.GaussianBlur(picture, (0, 0), config.blur), cv2.COLOR_RGB2LAB)
    colour = lab.reshape(-1, 3).astype(np.float64) * [config.lightness, 1, 1]
    index = np.arange(seeds.size).reshape(seeds.shape)
    one = np.concatenate([index[:, :-1].ravel(), index[:-1].ravel()])
    two = np.concatenate([index[:, 1:].ravel(), index[1:].ravel()])
    step = ((colour[one] - colour[two]) ** 2).sum(axis=1)
    weight = np.exp(-config.contrast * step / max(float(step.mean()), 1e-9)) + config.leak
    graph = coo_matrix((weight, (one, two)), (seeds.size, seeds.size)).tocsr()
    graph = graph + graph.T
    laplacian = (diags(np.asarray(graph.sum(axis=1)).ravel()) - graph).tocsr()
    kinds = seeds.ravel()
    asked, known = np.flatnonzero(kinds < 0), np.flatnonzero(kinds >= 0)
    arrival = np.zeros((seeds.size, 3))
    arrival[known, kinds[known]] = 1
    if len(asked):
        rows = laplacian[asked]
        arrival[asked] = splu(rows[:, asked].tocsc()).solve(-(rows[:, known] @ arrival[known]))
    return arrival.reshape(*seeds.shape, 3).astype(np.float32)
