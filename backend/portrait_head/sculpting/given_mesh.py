"""Carving that begins with a mesh of the user's, a head from a 3D GAN for example, in place of the fitted head.

ID-Sculpt, equation 2: the first shape is what the inversion of a 3D GAN gives. Nothing here makes one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from portrait_head.geometry.solids import common
from portrait_head.geometry.winding import Solid
from portrait_head.head_model import load_landmark_table
from portrait_head.head_model.model import HeadModel
from portrait_head.models.initial_mesh import FittedHead, load_initial_mesh
from portrait_head.sculpting.head_solid import RIM_ROUNDING, Cut


@dataclass(frozen=True)
class GivenMesh:
    """What carving begins with.

    Attributes:
        vertices: [V, 3] float64 metres, head space, in the photo's expression.
        triangles: [T, 3], outward.
        cut: the plane that ends the neck; what lies under it is left out.
        warnings: sentences for the user, the licence among them.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    cut: Cut
    warnings: tuple[str, ...]

    @property
    def kept(self) -> np.ndarray:
        """[N, 3] its vertices above the cut."""
        return self.vertices[self.cut.height(self.vertices) > 0]

    def solid(self) -> GivenSolid:
        """The space inside, for `depth`."""
        return GivenSolid(Solid(self.vertices, self.triangles), self.cut)


@dataclass(frozen=True)
class GivenSolid:
    """The space inside a given mesh above the neck's end."""

    body: Solid
    cut: Cut

    def depth(self, points: np.ndarray) -> np.ndarray:
        """Metres under the surface, negative outside: [N] float32 for points [N, 3]."""
        depth = self.body.signed_distance(points)
        return common(depth, self.cut.height(points), RIM_ROUNDING).astype(np.float32)


def given_mesh(path: Path, model: HeadModel, posed: np.ndarray, cut: Cut) -> GivenMesh:
    """Read a mesh file or a folder of PanoHead's and lay it onto the fitted head.

    Args:
        path: of the file or the folder; see `models.initial_mesh`.
        model: the head model.
        posed: [V, 3] metres, the fitted head in the photo's expression, which such a mesh shows.
        cut: where its neck ends.

    Raises:
        PortraitHeadError: as `load_initial_mesh`.
    """
    posed = posed.astype(np.float64)
    skin = posed[slice(*model.part("skin").vertices)]
    face = model.regions["face"]
    fitted = FittedHead(skin, skin[face[face < len(skin)]], load_landmark_table().positions(posed))
    found = load_initial_mesh(path, fitted)
    return GivenMesh(found.vertices.astype(np.float64), found.triangles, cut, found.warnings)
