"""An oracle that knows the normal map of one head from every view: distilling from it must give that head."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from portrait_head.diffusion import presets
from portrait_head.diffusion.guidance import ScoreDistillation
from portrait_head.rendering.orbit import OrbitRanges, sample_orbit

from tests.backend.diffusion.known_head import ELLIPSOID, KnowingPrior, Mesh, gaps, globe, head, render

SIDE = 64  # pixels, which are the latents here: 7 mm a pixel
STEPS = 200
STEP_LENGTH = 0.003  # metres that a vertex moves at first, at most
STIFFNESS = 10.0  # of the surface: how many neighbours share a move
VIEWS = OrbitRanges(elevation=(-40.0, 60.0))


def distil(known: Mesh, start: Mesh) -> np.ndarray:
    """Vertices [V, 3] after descending the default guidance from random views.

    Moves are shared among neighbours (Nicolet et al., "Large Steps in Inverse Rendering of Geometry", 2021), so that
    the guidance alone decides where the surface goes and no other loss pulls.
    """
    points, triangles = start
    adjacency = np.zeros((len(points), len(points)))
    for a, b in ((0, 1), (1, 2), (2, 0)):
        adjacency[triangles[:, a], triangles[:, b]] = adjacency[triangles[:, b], triangles[:, a]] = 1
    laplacian = np.diag(adjacency.sum(axis=1)) - adjacency
    stiff = torch.tensor(np.eye(len(points)) + STIFFNESS * laplacian)
    shared = torch.linalg.inv(stiff).float()
    unshared = (stiff @ torch.tensor(points)).float().requires_grad_()
    optimiser = torch.optim.Adam([unshared], lr=STEP_LENGTH, betas=(0.9, 0.99), eps=1e-15)
    slower = torch.optim.lr_scheduler.LinearLR(optimiser, 1.0, 0.02, STEPS)
    guidance = ScoreDistillation(KnowingPrior(known), presets.FAST, "normal", seed=0)
    generator = torch.Generator().manual_seed(0)
    faces = torch.tensor(triangles).int()
    for step in range(STEPS):
        orbit = sample_orbit(VIEWS, torch.zeros(3), SIDE, SIDE, generator)
        optimiser.zero_grad()
        guidance(orbit, render(shared @ unshared, faces, orbit.camera), step / STEPS).backward()
        optimiser.step()
        slower.step()
    return (shared @ unshared).detach().double().numpy()


@pytest.fixture(scope="module")
def surfaces() -> tuple[Mesh, Mesh, Mesh]:
    """The known head, the ellipsoid that distilling starts from, and where it ends."""
    directions, triangles = globe(3)
    start = directions * ELLIPSOID, triangles
    known = head()
    return known, start, (distil(known, start), triangles)


def test_chamfer_distance_falls_tenfold(surfaces):
    known, start, end = surfaces
    before, after = gaps(start, known)[1].mean(), gaps(end, known)[1].mean()
    assert before > 0.01
    assert after < before / 10  # measured: 17.4 mm to 0.6 mm


def test_the_back_is_as_right_as_the_front(surfaces):
    known, start, end = surfaces
    before, after = gaps(start, known), gaps(end, known)
    for side in (1, -1):
        halves = [distances[side * points[:, 2] > 0].mean() for points, distances in (before, after)]
        assert halves[1] < halves[0] / 10


def test_the_surface_still_faces_outwards(surfaces):
    _, _, (vertices, triangles) = surfaces
    corners = vertices[triangles]
    volumes = np.linalg.det(corners)
    assert (volumes > 0).mean() > 0.99  # star-shaped about its middle, as the known head is
