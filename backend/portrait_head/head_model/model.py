"""What a head model is to the rest of the project: template, identity, expressions, parts, landmarks and rig."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

DATA = Path(__file__).parent / "data"


@dataclass(frozen=True)
class Part:
    """A run of vertices and faces that belong together.

    Attributes:
        name: skin, eye_left, eye_right, teeth_upper, teeth_lower, tongue, lashes or mouth (the cavity).
        material: skin, eyes, mouth or lashes; each material has a UV square and a texture of its own.
        vertices: [start, stop) in the vertex array.
        faces: [start, stop) in the quad array.
    """

    name: str
    material: str
    vertices: tuple[int, int]
    faces: tuple[int, int]


@dataclass(frozen=True)
class Bone:
    """A bone of the small rig; `head` and `tail` are mean positions of the vertices listed, so they follow identity."""

    name: str
    parent: str | None
    head: tuple[int, ...]
    tail: tuple[int, ...]


@dataclass(frozen=True)
class LandmarkTable:
    """Where each of MediaPipe's 478 face landmarks lies on the skin or the eyes.

    Attributes:
        vertices: [478, 3] int32, corners of the carrying triangle.
        weights: [478, 3] float32, barycentric weights.
        spread: [478] float32, robust standard deviation over heads and views, as a fraction of the inter-ocular
            distance: how far the landmark may be trusted.
    """

    vertices: np.ndarray
    weights: np.ndarray
    spread: np.ndarray

    def positions(self, vertices: np.ndarray) -> np.ndarray:
        """Landmarks [..., 478, 3] on a head's vertices [..., V, 3]."""
        return np.einsum("lk,...lkc->...lc", self.weights, vertices[..., self.vertices, :])


@dataclass(frozen=True)
class IdentityPrior:
    """Gaussian prior over identity coefficients, from fits to scanned heads.

    A head of the prior is `mean + z @ modes` with z ~ N(0, 1) per mode; `modes` are already scaled by their standard
    deviation.

    Attributes:
        mean: [K] float64 identity coefficients of the mean face.
        modes: [M, K] float64.
    """

    mean: np.ndarray
    modes: np.ndarray


@dataclass(frozen=True)
class HeadModel:
    """A parametric head. Metres, +Y up, +Z out of the face, origin at the head joint.

    Attributes:
        vertices: [V, 3] float32 template.
        quads: [F, 4] int32, counter-clockwise seen from outside.
        uvs: [F, 4, 2] float32, one corner each; origin bottom left; every material fills a square of its own.
        parts: the runs of vertices and faces, in order.
        identity_names: K names.
        identity: [K, V, 3] float32 displacements for coefficient 1.
        expressions: [52, V, 3] float32 displacements for weight 1, in the order of `ARKIT_NAMES`.
        mirror: [V] int32, the vertex on the other side of the head.
        bones: the rig, parents first.
        joints: [V, 4] int32 bone indices.
        weights: [V, 4] float32 bone weights, summing to 1.
        regions: named vertex index arrays (int32): for example face, lips, lid_upper_left, scalp, neck, ear_left.
    """

    vertices: np.ndarray
    quads: np.ndarray
    uvs: np.ndarray
    parts: tuple[Part, ...]
    identity_names: tuple[str, ...]
    identity: np.ndarray
    expressions: np.ndarray
    mirror: np.ndarray
    bones: tuple[Bone, ...]
    joints: np.ndarray
    weights: np.ndarray
    regions: dict[str, np.ndarray]

    def part(self, name: str) -> Part:
        """The part of that name."""
        return next(part for part in self.parts if part.name == name)

    def identified(self, coefficients: np.ndarray) -> np.ndarray:
        """Neutral vertices [V, 3] float32 of the head with identity `coefficients` [K]."""
        return self.vertices + np.tensordot(coefficients.astype(np.float32), self.identity, axes=1)

    def triangles(self) -> np.ndarray:
        """The quads as triangles [2F, 3] int32: face f gives rows 2f (corners 0 1 2) and 2f+1 (corners 0 2 3)."""
        return self.quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)
