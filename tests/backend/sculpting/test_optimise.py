"""The loop on bodies whose true shape is known."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from portrait_head.errors import PortraitHeadError
from portrait_head.geometry.tet_grid import TetGrid
from portrait_head.rendering.camera import PinholeCamera
from portrait_head.rendering.orbit import OrbitView
from portrait_head.sculpting.config import GridConfig, SculptConfig, Weights, preset
from portrait_head.sculpting.optimise import Sculpted, Sculptor, Stays, Watch, neighbours, weighted_sum
from portrait_head.sculpting.references import Reference
from portrait_head.sculpting.views import View

from tests.backend.geometry.meshes import is_closed_and_manifold
from tests.backend.rendering.meshes import globe

SIZE, RADIUS = 96, 0.08
CONFIG = SculptConfig(grid=GridConfig(resolution=48), image_size=SIZE, settle_steps=3, refine_steps=25, check_every=5)
CAMERA = PinholeCamera(np.eye(3), np.array([0.0, 0.0, -1.0]), 400.0, np.full(2, SIZE / 2), SIZE, SIZE)


def reference(wider: float) -> Reference:
    """An ellipsoid `wider` than the ball begun with, seen from the front by its outline alone."""
    column, row = np.meshgrid(np.arange(SIZE) + 0.5 - SIZE / 2, np.arange(SIZE) + 0.5 - SIZE / 2)
    radius = RADIUS * 400
    mask = (np.hypot(column / wider, row) < radius).astype(np.float32)
    nothing = np.zeros((SIZE, SIZE), np.float32)
    return Reference(
        CAMERA, mask, nothing + 1, np.zeros((SIZE, SIZE, 3), np.float32), nothing, nothing, nothing,
        np.zeros((0, 3), np.float32), np.zeros((0, 3), np.float32),
    )  # fmt: skip


def ball(points: np.ndarray) -> np.ndarray:
    """Metres under the ball's surface."""
    return (RADIUS - np.linalg.norm(points, axis=1)).astype(np.float32)


def sculptor(
    wanted: Reference, config: SculptConfig = CONFIG, guidance=None, pliancy=lambda places: places[:, 0] * 0 + 1
) -> Sculptor:
    grid = TetGrid.over(torch.tensor([[-0.12] * 3, [0.12] * 3], dtype=torch.float64), config.grid.resolution)
    vertices, triangles = globe(24, 48, RADIUS)
    stays = Stays(torch.ones(grid.vertex_count), torch.ones(grid.vertex_count), pliancy(grid.vertices.float()))
    return Sculptor(grid, ball, (vertices.numpy(), triangles.numpy()), stays, wanted, config, guidance)


@pytest.fixture(scope="module")
def widened() -> Sculpted:
    return sculptor(reference(1.1)).run(Watch())


def test_the_surface_takes_on_the_outline(widened: Sculpted) -> None:
    assert widened.best_loss < 0.2 * widened.first_loss
    assert widened.best_step > 0
    x, y, _ = np.abs(widened.vertices).max(axis=0)
    assert x == pytest.approx(1.1 * RADIUS, abs=0.002)  # half a pixel is 1.2 mm
    assert y == pytest.approx(RADIUS, abs=0.002)


def test_the_surface_stays_closed_and_manifold(widened: Sculpted) -> None:
    assert is_closed_and_manifold(torch.from_numpy(widened.vertices).double(), torch.from_numpy(widened.triangles))


def test_the_same_seed_gives_the_same_bytes() -> None:
    config = replace(CONFIG, settle_steps=1, refine_steps=3)
    first, second = (sculptor(reference(1.1), config).run(Watch()) for _ in range(2))
    assert first.vertices.tobytes() == second.vertices.tobytes()
    assert first.triangles.tobytes() == second.triangles.tobytes()


def test_what_nobody_asks_to_change_stays() -> None:
    unasked = replace(reference(1.3), mask_weight=np.zeros((SIZE, SIZE), np.float32))
    found = sculptor(unasked, replace(CONFIG, refine_steps=5)).run(Watch())
    apart = np.abs(np.linalg.norm(found.vertices, axis=1) - RADIUS)
    assert np.median(apart) < 6e-4  # of cells of 5 mm
    assert apart.max() < 2e-3


def test_what_is_not_pliant_stays_where_the_outline_calls_it_away() -> None:
    short = replace(CONFIG, settle_steps=1, refine_steps=10)
    soft = sculptor(reference(1.1), short, pliancy=lambda places: (places[:, 0] > 0).float()).run(Watch())
    x = soft.vertices[:, 0]
    assert x.max() > 1.04 * RADIUS
    assert -x.min() - RADIUS < 0.5 * (x.max() - RADIUS)  # by detail alone


def test_progress_and_previews_are_told() -> None:
    shares: list[float] = []
    pictures: list[int] = []
    config = replace(CONFIG, settle_steps=1, refine_steps=4, preview_every=2)
    watch = Watch(shares.append, lambda vertices, triangles: pictures.append(len(triangles)))
    sculptor(reference(1.0), config).run(watch)
    assert shares == pytest.approx([0.2, 0.4, 0.6, 0.8, 1.0])
    assert len(pictures) == 2
    assert min(pictures) > 1000


def test_guidance_sees_other_views_and_its_gradient_is_followed() -> None:
    seen: list[float] = []

    def smaller(orbit: OrbitView, view: View, share: float) -> torch.Tensor:
        seen.append(orbit.azimuth)
        assert view.mask.requires_grad
        assert view.normals.shape == (SIZE, SIZE, 3)
        assert 0 <= share < 1
        return 10 * view.mask.mean()

    config = replace(CONFIG, settle_steps=0, refine_steps=10, guided_share=1.0)
    unasked = replace(reference(1.0), mask_weight=np.zeros((SIZE, SIZE), np.float32))
    one = sculptor(unasked, config, smaller)
    one.run(Watch())
    surface, _ = one._extract()
    assert len(set(seen)) == 10
    assert surface.vertices.norm(dim=1).mean() < RADIUS - 3e-4


def test_a_loss_that_is_no_number_stops_with_its_name() -> None:
    spoilt = reference(1.0)
    spoilt.mask[0, 0] = np.nan
    with pytest.raises(PortraitHeadError, match="loss mask is nan") as caught:
        sculptor(spoilt).run(Watch())
    assert caught.value.kind == "sculpt_diverged"
    with pytest.raises(PortraitHeadError, match="loss depth is inf"):
        weighted_sum({"normal": torch.tensor(1.0), "depth": torch.tensor(torch.inf)}, CONFIG.refine)


@pytest.mark.parametrize("name", [field.name for field in fields(Weights)])
def test_whatever_loss_is_no_number_is_named(name: str) -> None:
    sound = {field.name: torch.tensor(1.0) for field in fields(Weights)}
    with pytest.raises(PortraitHeadError, match=f"loss {name} is nan"):
        weighted_sum({**sound, name: torch.tensor(torch.nan)}, CONFIG.refine)


def test_triangles_that_share_an_edge_are_neighbours() -> None:
    pairs = neighbours(torch.tensor([[0, 1, 2], [2, 1, 3], [4, 5, 6]]))
    assert pairs.tolist() == [[0, 1]]


def test_presets_differ_in_work() -> None:
    quick, standard, high = (preset(name) for name in ("quick", "standard", "high"))
    assert quick.grid.resolution < standard.grid.resolution < high.grid.resolution
    assert quick.refine_steps < standard.refine_steps < high.refine_steps
    assert standard.scaled(0.5).refine_steps == round(0.5 * standard.refine_steps)
