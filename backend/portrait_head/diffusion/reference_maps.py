"""What a photo is turned into by equation 4 of ID-Sculpt, and from what; nothing here needs a model or its packages."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ReferencePhoto:
    """What the drawings start from.

    Attributes:
        picture: [S, S, 3] uint8 sRGB, a square around the head.
        mask: [S, S] in 0..1, the head in it.
        identity: [512] float32, the normalised face embedding.
        caption: of the person; blank for a neutral one.
        fitted: [S, S, 3] normals of the fitted head, camera space, zero where it is not seen; None without one.
        face: [S, S] in 0..1, where those are of the face.
    """

    picture: np.ndarray
    mask: np.ndarray
    identity: np.ndarray
    caption: str = ""
    fitted: np.ndarray | None = None
    face: np.ndarray | None = None


@dataclass(frozen=True)
class ReferenceMaps:
    """Geometry as the reference camera should see it.

    Attributes:
        normals: [side, side, 3] float32, unit, camera space of the photo, zero outside the mask.
        depth: [side, side] float32, growing away from the viewer, 0..1; true depth up to a scale and a shift.
        mask: [side, side] bool, where normals hold.
        depth_mask: [side, side] bool, where depth holds.
        notes: sentences for the user.
    """

    normals: np.ndarray
    depth: np.ndarray
    mask: np.ndarray
    depth_mask: np.ndarray
    notes: tuple[str, ...] = ()
