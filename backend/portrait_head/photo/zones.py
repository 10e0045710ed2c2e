"""Maps over the pixels of one head that its masks are made from: where a pixel lies on it, how like skin it is."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_head.photo.head_shape import JAW, HeadShape

EYES_HEIGHT = 0.1  # face heights above the middle of the face
MOUTH_HEIGHT = -0.2
FOREHEAD_TOP = 0.42


@dataclass(frozen=True)
class ColourModel:
    """A material's colour in CIE Lab.

    Light and shade change lightness more than hue, so lightness counts little, except in a grey picture.

    Attributes:
        centre: [3] median.
        spread: [3] robust standard deviation, kept between the picture's noise and what shading does.
        weights: [3] of the squared deviations.
    """

    centre: np.ndarray
    spread: np.ndarray
    weights: np.ndarray

    @staticmethod
    def of(lab: np.ndarray, sample: np.ndarray) -> ColourModel:
        """The colour of the pixels `sample` ([S, S] bool, at least one) of `lab` [S, S, 3]."""
        values = lab[sample]
        centre = np.median(values, axis=0)
        spread = np.clip(1.4826 * np.median(np.abs(values - centre), axis=0), (7.0, 3.0, 3.0), (14.0, 6.0, 6.0))
        grey = float(np.hypot(values[:, 1], values[:, 2]).mean()) < 4.0
        return ColourModel(centre, spread, np.array((2.0, 0.0, 0.0) if grey else (0.35, 1.0, 1.0)))

    def distance(self, lab: np.ndarray) -> np.ndarray:
        """Deviations of each pixel of `lab` [S, S, 3] from this colour: [S, S]."""
        return np.sqrt((np.square((lab - self.centre) / self.spread) * self.weights).sum(axis=-1))

    def highlight_distance(self, lab: np.ndarray) -> np.ndarray:
        """The same where a highlight may have bleached and brightened the colour: [S, S]."""
        chroma = self.centre[1:]
        strength = max(float(chroma @ chroma), 1e-9)
        faded = np.clip(lab[..., 1:] @ chroma / strength, 0.0, 1.0)[..., None] * chroma
        brighter = lab[..., 0] > self.centre[0]
        nearest = np.concatenate([lab[..., :1], faded], axis=-1)
        off = np.square((lab - nearest) / self.spread) * self.weights
        return np.where(brighter, np.sqrt(off.sum(axis=-1)), np.inf)


@dataclass(frozen=True)
class HeadZones:
    """Every map is [S, S].

    Attributes:
        shape: the head.
        valid: bool, False beyond the photo.
        inside: bool, surely the person.
        lab: [S, S, 3] float32 CIE Lab.
        height: face heights above the middle of the face.
        across: face heights to the subject's left of it.
        radius: 1 on the bald skull's outline, less inside.
        oval: bool, within the face's outline.
        bare: bool, where no scalp hair grows: the inner face, the jaw with its beard, the throat.
        skin_distance: deviations from the face's own skin colour.
        skinlike: the same, but a highlight counts as skin.
    """

    shape: HeadShape
    valid: np.ndarray
    inside: np.ndarray
    lab: np.ndarray
    height: np.ndarray
    across: np.ndarray
    radius: np.ndarray
    oval: np.ndarray
    bare: np.ndarray
    skin_distance: np.ndarray
    skinlike: np.ndarray


def head_zones(
    image: np.ndarray, valid: np.ndarray, person: np.ndarray, shape: HeadShape, person_sure: float
) -> HeadZones:
    """The maps of the head `shape` in `image` ([S, S, 3] uint8 sRGB) with its `person` mask ([S, S] float32)."""
    points = np.moveaxis(np.indices(valid.shape)[::-1], 0, -1) + 0.5
    height = shape.height(points)
    oval = shape.fill(shape.oval, valid.shape)
    core = shape.fill(_shrunk(shape.oval, 0.85), valid.shape) & (height < 0.2)
    beard = shape.fill(_below_jaw(shape), valid.shape) | (oval & (height < MOUTH_HEIGHT))
    lab = cv2.cvtColor(image.astype(np.float32) / 255.0, cv2.COLOR_RGB2Lab)
    inside = (person > person_sure) & valid
    sample = core & (height < EYES_HEIGHT) & valid
    skin = ColourModel.of(lab, sample if sample.any() else oval | ~oval)
    distance = skin.distance(lab)
    return HeadZones(
        shape=shape,
        valid=valid,
        inside=inside,
        lab=lab,
        height=height,
        across=shape.side(points),
        radius=shape.skull_radius(points),
        oval=oval,
        bare=core | beard,
        skin_distance=distance,
        skinlike=np.minimum(distance, skin.highlight_distance(lab)),
    )


def _shrunk(polygon: np.ndarray, factor: float) -> np.ndarray:
    centre = polygon.mean(axis=0)
    return centre + (polygon - centre) * factor


def _below_jaw(shape: HeadShape) -> np.ndarray:
    """The jaw and what hangs under it: a beard and the throat, never scalp hair."""
    jaw = shape.landmarks[list(JAW), :2]
    inner = shape.middle + (jaw - shape.middle) * 0.9
    return np.concatenate([inner, inner[::-1] - shape.up * 0.3 * shape.size])
