"""The sculpt itself, guided by an oracle that knows a head, begun with an ellipsoid: equation 1 of ID-Sculpt whole."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from portrait_head.diffusion import presets
from portrait_head.diffusion.guidance import ScoreDistillation
from portrait_head.geometry.tet_grid import TetGrid
from portrait_head.rendering.orbit import OrbitRanges, orbit_view
from portrait_head.sculpting.config import FieldConfig, GridConfig, SculptConfig, Weights
from portrait_head.sculpting.optimise import Sculptor, Stays, Watch
from portrait_head.sculpting.references import Reference

from tests.backend.diffusion.known_head import ELLIPSOID, KnowingPrior, Mesh, gaps, globe, head, render

SIDE = 64  # pixels, which are the latents here
BOX = ((-0.14, -0.16, -0.15), (0.14, 0.16, 0.15))  # metres
CONFIG = SculptConfig(
    grid=GridConfig(resolution=48, reach=0.06),
    moves=FieldConfig(lattice_step=(1.6e-3, 1.2e-3, 8e-4), vertex_step=4e-4),  # the ellipsoid is centimetres away
    image_size=SIDE,
    settle_steps=1,
    refine_steps=120,
    # Nothing holds to the ellipsoid; the surface is kept smooth more weakly, for guidance to say what it is like.
    refine=Weights(hold=0.0, smooth=0.0, deformation=1e2, laplacian=10.0, normal_consistency=0.005, guidance=3.0),
    orbit=OrbitRanges(elevation=(-40.0, 60.0)),
    guided_share=0.8,
    check_every=120,
)


def front_view(known: Mesh) -> Reference:
    """What a photo would tell: normals, depth and mask of the known head from the front."""
    camera = orbit_view(0.0, 0.0, 0.6, 30.0, torch.zeros(3), SIDE, SIDE).camera
    view = render(torch.tensor(known[0]).float(), torch.tensor(known[1]).int(), camera)
    normals, depth, mask = (image.numpy() for image in (view.normals, view.depth, view.mask))
    none = np.zeros((0, 3), np.float32)
    trust = (depth > 0).astype(np.float32)
    return Reference(camera.to_pinhole(), mask, np.ones_like(mask), normals, depth, trust, depth, none, none)


def ellipsoid(points: np.ndarray) -> np.ndarray:
    """About the metres under the surface of the ellipsoid begun with."""
    scaled = points / ELLIPSOID
    length = np.linalg.norm(scaled, axis=1)
    steepness = np.maximum(np.linalg.norm(scaled / ELLIPSOID, axis=1), 1e-9)
    return ((1 - length) * length / steepness).astype(np.float32)


def sculpt(known: Mesh) -> tuple[Mesh, Mesh]:
    """The ellipsoid begun with and the surface that came out of it."""
    grid = TetGrid.over(torch.tensor(BOX), CONFIG.grid.resolution)
    directions, triangles = globe(3)
    begun = (directions * ELLIPSOID).astype(np.float32), triangles.astype(np.int32)
    free = torch.zeros(grid.vertex_count)
    stays = Stays(free, free, free + 1)
    guidance = ScoreDistillation(KnowingPrior(known), presets.FAST, "normal", seed=0)
    end = Sculptor(grid, ellipsoid, begun, stays, front_view(known), CONFIG, guidance).run(Watch())
    return begun, (end.vertices.astype(np.float64), end.triangles)


@pytest.fixture(scope="module")
def surfaces() -> tuple[Mesh, Mesh, Mesh]:
    """The known head, the ellipsoid, and what was sculpted."""
    known = head()
    return known, *sculpt(known)


def test_sculpting_from_an_ellipsoid_finds_the_head_in_front_and_behind(surfaces):
    known, start, end = surfaces
    (points, before), (found, after) = gaps(start, known), gaps(end, known)
    assert before.mean() > 0.01
    assert after.mean() < before.mean() / 10
    for side in (1, -1):
        assert after[side * found[:, 2] > 0].mean() < before[side * points[:, 2] > 0].mean() / 10
