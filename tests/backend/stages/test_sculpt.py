"""The sculpt stage, and the guide stage before it."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from portrait_head import storage
from portrait_head.geometry.nearest import SurfaceIndex
from portrait_head.head_model import load_head_model
from portrait_head.progress import Progress
from portrait_head.rendering.raycast import RayCaster, visibility
from portrait_head.request import HeadRequest
from portrait_head.sculpting.config import GridConfig
from portrait_head.stages import fit, guide, portrait
from portrait_head.stages import sculpt as stage
from portrait_head.stages.sculpt import Sculpt

from tests.backend.geometry.drawn_hair import draw
from tests.backend.geometry.meshes import is_closed_and_manifold
from tests.backend.stages.sculpting import COARSE, lay_hair, sculpt

FACE_OVAL_INNER = (70, 105, 107, 336, 334, 300, 50, 280, 152, 148, 377, 61, 291)


def bytes_of(folder: Path, result: Sculpt) -> str:
    folder.mkdir()
    storage.save(folder, result)
    return hashlib.sha256(b"".join(path.read_bytes() for path in sorted(folder.iterdir()))).hexdigest()


def test_a_bald_head_gets_no_hair_and_no_warning() -> None:
    result = sculpt(draw("bald"))
    assert result.style == "none"
    assert result.hair_vertices.shape == result.hair_triangles.shape == (0, 3)
    assert not result.scalp.any()
    assert result.warnings == ()


def test_hair_that_cannot_be_told_leaves_a_plain_scalp() -> None:
    result = lay_hair(draw("crop"), hair_style="unknown")
    assert result.style == "none"
    assert len(result.hair_vertices) == 0
    assert not result.scalp.any()


def test_a_request_without_hair_gets_none_whatever_the_photo_shows() -> None:
    result = sculpt(draw("bob"), HeadRequest(photos=("drawn.png",), hair="none"))
    assert result.style == "none"
    assert len(result.hair_triangles) == 0
    assert (result.hair < 0).all()
    crown = load_head_model().vertices[:, 1].max()
    assert abs(result.vertices[:, 1].max() - crown) < 0.004  # the hair's outline is nobody's


def test_an_empty_mask_gives_a_bare_head_with_a_warning() -> None:
    drawing = draw("bob")
    result = sculpt(drawing, hair=np.zeros_like(drawing.portrait.hair), person=drawing.bare.astype(np.float32))
    assert len(result.hair_triangles) == 0
    assert len(result.warnings) == 1


def test_the_same_request_gives_the_same_bytes_and_they_read_back(tmp_path: Path) -> None:
    first, second = sculpt(draw("bob")), sculpt(draw("bob"))
    assert bytes_of(tmp_path / "a", first) == bytes_of(tmp_path / "b", second)
    read = storage.load(tmp_path / "a", Sculpt)
    assert read.style == first.style
    assert np.array_equal(read.hair_vertices, first.hair_vertices)
    assert np.array_equal(read.vertices, first.vertices)
    other = lay_hair(draw("bob"), HeadRequest(photos=("drawn.png",), seed=1))
    assert not np.array_equal(other.hair_vertices, lay_hair(draw("bob")).hair_vertices)


def test_the_guide_holds_unit_normals_and_the_depth_of_the_head() -> None:
    drawing = draw("bald", 25.0)
    found = guide.run(HeadRequest(photos=("drawn.png",)), drawing.portrait, drawing.fit, Progress())
    seen = np.isfinite(found.depth)
    assert (seen == drawing.bare).mean() > 0.998  # the guide's skin is rounded between the model's vertices
    assert found.face[~seen].max() == 0
    assert 0.4 < found.face[seen].mean() < 0.9
    assert np.linalg.norm(found.normals[seen], axis=-1) == pytest.approx(1, abs=1e-5)
    assert not found.normals[~seen].any()
    # What faces away cannot be seen: normals look at the camera but at the outline, where they are interpolated.
    assert (found.normals[seen][:, 2] > -0.2).mean() > 0.98
    assert found.reference_normals is None
    assert 1.1 < found.depth[seen].min() < found.depth[seen].max() < 1.5


def test_behind_glasses_or_a_hand_the_guide_knows_no_face() -> None:
    drawing, request = draw("bald", 25.0), HeadRequest(photos=("drawn.png",))
    hidden = np.zeros_like(drawing.portrait.occluder)
    hidden[len(hidden) // 2 :] = True
    free = guide.run(request, drawing.portrait, drawing.fit, Progress()).face
    covered = guide.run(request, replace(drawing.portrait, occluder=hidden), drawing.fit, Progress()).face
    assert free[hidden].any() and not covered[hidden].any()
    assert np.array_equal(covered[~hidden], free[~hidden])


@pytest.fixture(scope="module")
def sample() -> tuple[portrait.Portrait, fit.Fit, Sculpt]:
    request = HeadRequest(photos=("sample",))
    seen = portrait.run(request, Progress())
    fitted = fit.run(request, seen, Progress())
    guided = guide.run(request, seen, fitted, Progress())
    config = replace(COARSE, grid=GridConfig(resolution=64), image_size=192, refine_steps=25)
    return seen, fitted, stage.run(request, seen, fitted, guided, Progress(), config)


def overlap(seen: portrait.Portrait, fitted: fit.Fit, drawn: np.ndarray) -> float:
    """Intersection over union of a silhouette and the portrait's own, where that is no collar and no other doubt."""
    request = HeadRequest(photos=("sample",))
    guided = guide.run(request, seen, fitted, Progress())
    grown = stage.grow_hair(load_head_model(), request, seen, fitted)
    outline = stage.photo_outline(request, seen, fitted, guided, grown)
    sure, mask = outline.trust > 0.5, outline.mask > 0.5
    return (drawn & mask & sure).sum() / ((drawn | mask) & sure).sum()


def test_the_sample_portrait_keeps_its_hair_and_its_outline(sample) -> None:
    seen, fitted, result = sample
    head = visibility(RayCaster(fitted.posed, load_head_model().triangles()), fitted.camera)
    cast = visibility(RayCaster(result.hair_vertices, result.hair_triangles), fitted.camera)
    hair = cast.hit & (cast.distance < head.distance)
    mask = seen.hair > 0.5
    assert (hair & mask).sum() >= 0.95 * mask.sum()
    assert overlap(seen, fitted, hair | head.hit) > 0.9


def test_no_hair_hides_the_sample_portraits_face(sample) -> None:
    seen, fitted, result = sample
    pixels = seen.landmarks[list(FACE_OVAL_INNER), :2].astype(float)
    hits = RayCaster(result.hair_vertices, result.hair_triangles).cast(
        fitted.camera.position, fitted.camera.rays(pixels)
    )
    head = RayCaster(fitted.posed, load_head_model().triangles()).cast(
        fitted.camera.position, fitted.camera.rays(pixels)
    )
    assert not (hits.hit & (hits.distance < head.distance)).any()


def test_the_sample_portraits_surface_is_closed_and_has_its_outline(sample) -> None:
    seen, fitted, result = sample
    triangles = torch.from_numpy(result.triangles)
    assert is_closed_and_manifold(torch.from_numpy(result.posed).double(), triangles)
    assert np.isfinite(result.vertices).all()
    assert (result.hair > 0).mean() > 0.3
    assert overlap(seen, fitted, visibility(RayCaster(result.posed, result.triangles), fitted.camera).hit) > 0.97


def test_a_head_without_hair_in_the_picture_keeps_its_shape() -> None:
    drawing = draw("bald")
    result = sculpt(drawing)
    model = load_head_model()
    face = model.vertices[model.regions["face"]]
    found = SurfaceIndex(result.vertices, result.triangles).nearest(face).distance
    assert np.median(found) < 0.0008  # of cells of 7 mm
    assert result.warnings == ()


@pytest.mark.parametrize("broken", ["person", "hair", "both"])
def test_broken_masks_end_in_a_sane_head(broken: str) -> None:
    drawing = draw("bob")
    elsewhere = np.roll(drawing.portrait.person, 256, axis=1)
    everything = np.ones_like(drawing.portrait.hair)
    changes = {"person": {"person": elsewhere}, "hair": {"hair": everything}}
    result = sculpt(drawing, **(changes.get(broken) or {**changes["person"], **changes["hair"]}))
    assert np.isfinite(result.vertices).all()
    assert len(result.triangles) > 1000
    low, high = load_head_model().vertices.min(axis=0), load_head_model().vertices.max(axis=0)
    assert (result.vertices.min(axis=0) > low - 0.12).all()
    assert (result.vertices.max(axis=0) < high + 0.12).all()
    if broken != "hair":
        assert any("misses the face" in warning for warning in result.warnings)


def is_sane(result: Sculpt) -> bool:
    """Closed, finite and about as large as a head with hair."""
    low, high = load_head_model().vertices.min(axis=0), load_head_model().vertices.max(axis=0)
    return (
        bool(np.isfinite(result.vertices).all())
        and is_closed_and_manifold(torch.from_numpy(result.posed).double(), torch.from_numpy(result.triangles))
        and bool((result.vertices > low - 0.12).all() and (result.vertices < high + 0.12).all())
    )


def test_hair_that_leaves_the_picture_ends_in_a_sane_head_and_a_warning() -> None:
    drawing = draw("long")
    valid = drawing.portrait.valid.copy()
    valid[:, : valid.shape[1] // 2 - 60] = False
    seen = {name: getattr(drawing.portrait, name) * valid for name in ("hair", "person", "skin")}
    result = sculpt(drawing, valid=valid, **seen)
    assert is_sane(result)
    assert result.style == "volume"
    assert any("leaves the picture" in warning for warning in result.warnings)


def test_a_hat_ends_in_a_sane_head_and_a_warning() -> None:
    drawing = draw("bald")
    top = int(np.nonzero(drawing.bare.any(axis=1))[0][0])
    hat = np.zeros_like(drawing.bare)
    hat[top - 60 : top + 40, 130:380] = True
    person = np.maximum(drawing.portrait.person, hat.astype(np.float32))
    result = sculpt(drawing, person=person, skin=drawing.portrait.skin * ~hat)
    assert is_sane(result)
    assert any("hat" in warning for warning in result.warnings)
    crown = load_head_model().vertices[:, 1].max()
    assert result.vertices[:, 1].max() < crown + 0.01  # the hat is no head
