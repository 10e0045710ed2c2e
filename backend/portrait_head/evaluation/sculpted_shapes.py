"""The sculpted surface against known shapes: from the photo alone, and from the photo's true normals and depth."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np

from portrait_head.evaluation import hard_pairs
from portrait_head.evaluation.hard_pairs import Person, Shot, TrueView, eyeballs, sky_openness, with_eyeballs
from portrait_head.evaluation.ict import ANCHORS, ANCHORS_MEDIAPIPE, NARROW_FACE, SKIN, KnownHeads
from portrait_head.evaluation.skin_paint import FacePaint
from portrait_head.evaluation.surface_distance import Surface, align_surface
from portrait_head.geometry.nearest import SurfaceIndex
from portrait_head.geometry.similarity import Similarity, fit_similarity
from portrait_head.geometry.surface import vertex_normals
from portrait_head.head_model import load_head_model, load_landmark_table, onto_surface
from portrait_head.progress import Progress
from portrait_head.rendering.raycast import RayCaster, visibility
from portrait_head.request import HeadRequest
from portrait_head.stages import fit, guide, portrait, sculpt
from portrait_head.stages.fit import Fit
from portrait_head.stages.portrait import Portrait

METHODS = ("fit", "sculpt", "sculpt_true_maps", "head_true_maps")  # the last is the head of fixed topology laid onto it
MILLIMETRES = 1000.0
FACING = 0.004  # metres that a normal turned by 60 degrees counts for when the face is looked for on the sculpt
UNDER_CHIN = 0.012  # metres under the chin's tip from which on there are clothes
OPEN = 0.25  # share of the sky that skin must see to be shown: a closed mouth hides the inner lips
HAIRLESS = 0.01


@dataclass(frozen=True)
class SculptErrors:
    """How far one method's head is from the true one.

    Attributes:
        at_rest: mean over the skin of the face that is shown (`shown_skin`), mm, both heads at rest.
        in_photo: the same, both with the photo's expression, which no method has to guess.
        regions: the same over each region of the face and over ears, jaw line and upper forehead, at rest.
        silhouette_iou: of the head above the chin in the photo's view, against its true silhouette.
        face: [F, 3] float32 the face's vertices at rest, in the topology of the head model, where a closed surface
            shows them (`shown_face`).
    """

    at_rest: float
    in_photo: float
    regions: dict[str, float]
    silhouette_iou: float
    face: np.ndarray


def measure_sculpts(heads: KnownHeads, person: Person, shot: Shot, photo: Path) -> dict[str, SculptErrors]:
    """Errors by method of `METHODS` for the picture `photo` of `shot`.

    Raises:
        PortraitHeadError: the photo gives no head.
    """
    request = HeadRequest(photos=(str(photo),))
    seen = portrait.run(request, Progress())
    fitted = fit.run(request, seen, Progress())
    guided = guide.run(request, seen, fitted, Progress())
    truth = hard_pairs.true_view(heads, person, shot)
    normals, depth = _in_window(truth, seen)
    outer = onto_surface.shown_skin(load_head_model())  # skin behind an eyeball would lie nearer to lids than lids do
    told = replace(guided, reference_normals=normals, reference_depth=depth)
    alone, referenced = (sculpt.run(request, seen, fitted, maps, Progress()) for maps in (guided, told))
    head = referenced.refine(fitted)
    surfaces = {
        "fit": (fitted.neutral, fitted.posed, outer),
        "sculpt": (alone.vertices, alone.posed, alone.triangles),
        "sculpt_true_maps": (referenced.vertices, referenced.posed, referenced.triangles),
        "head_true_maps": (head.neutral, head.posed, outer),
    }
    rest = person.vertices[SKIN]
    posed = (person.vertices + heads.expression(shot.expression))[SKIN]
    shown = shown_skin(heads, person, rest), shown_skin(heads, person, posed)
    found, laid = {}, {}
    for name, (vertices, moved, triangles) in surfaces.items():
        # Without references the skin has stayed in the fit's place, so it is measured as the fit was laid, which can
        # only favour the fit; an alignment of its own would turn with the hair that it has on the forehead.
        ways = laid["fit"] if name == "sculpt" else (None, None)
        at_rest, regions, way = _errors(heads, rest, shown[0], Surface(vertices, triangles), fitted.neutral, ways[0])
        in_photo, _, way_in_photo = _errors(heads, posed, shown[1], Surface(moved, triangles), fitted.posed, ways[1])
        laid[name] = way, way_in_photo
        overlap = _silhouette_iou(moved, triangles, np.isfinite(depth), fitted)
        face = _face_of(vertices, triangles, fitted.neutral, outer)
        found[name] = SculptErrors(at_rest, in_photo, regions, overlap, face)
    return found


def _in_window(truth: TrueView, seen: Portrait) -> tuple[np.ndarray, np.ndarray]:
    """The true normals [S, S, 3] and depth [S, S] in the portrait's pixels."""
    left, top, scale = seen.window
    centres = (np.arange(len(seen.image)) + 0.5) * scale - 0.5
    columns, rows = np.meshgrid(centres + left, centres + top)
    places = (columns.astype(np.float32), rows.astype(np.float32))
    known = np.isfinite(truth.depth)
    share = cv2.remap(known.astype(np.float32), *places, cv2.INTER_LINEAR, borderValue=(0.0,))
    depth = cv2.remap(np.where(known, truth.depth, 0.0), *places, cv2.INTER_LINEAR, borderValue=(0.0,))
    normals = cv2.remap(truth.normals, *places, cv2.INTER_LINEAR, borderValue=(0.0,) * 3)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    whole = share > 0.999
    normals = np.where(whole[..., None], normals / np.maximum(length, 1e-6), 0.0)
    return normals.astype(np.float32), np.where(whole, depth, np.inf).astype(np.float32)


def shown_skin(heads: KnownHeads, person: Person, truth: np.ndarray) -> np.ndarray:
    """[V] bool: which of the true skin's vertices [V, 3] can be seen from somewhere, and have no hair over them.

    A surface of head and hair in one has no skin under the hair, between closed lips or behind the lids.
    """
    normals = vertex_normals(truth, heads.triangles)
    vertices, triangles, _ = with_eyeballs(truth, heads.triangles, eyeballs(heads, person))
    open_ = sky_openness(RayCaster(vertices, triangles), truth, normals) > OPEN
    return open_ & (FacePaint(heads, person.complexion).hairiness(heads.neutral[SKIN]) < HAIRLESS)


def _errors(
    heads: KnownHeads,
    truth: np.ndarray,
    shown: np.ndarray,
    surface: Surface,
    fitted: np.ndarray,
    laid: Similarity | None,
) -> tuple[float, dict[str, float], Similarity]:
    """Mean distance over the face and over each region, mm, and how the surface was laid, as `laid` if that is given.

    `fitted` tells where the surface's landmarks are.
    """
    face = heads.face[shown[heads.face]]
    if laid is None:
        anchors = load_landmark_table().positions(fitted)[list(ANCHORS_MEDIAPIPE)].astype(np.float64)
        laid, _ = align_surface(truth[face], surface, fit_similarity(anchors, truth[list(ANCHORS)]))
    extra = outline_regions(heads)
    rows = np.unique(np.concatenate([face, *extra.values()]))
    rows = rows[shown[rows]]
    _, apart, _ = surface.closest(laid.inverse()(truth[rows]))
    at = np.full(len(truth), np.nan)
    at[rows] = apart * laid.scale * MILLIMETRES
    # A region of the face is judged by its part in the face, what lies beyond it by all that is shown.
    inside = np.isin(np.arange(len(at)), face)
    regions = {name: float(np.nanmean(np.where(inside, at, np.nan)[where])) for name, where in heads.regions.items()}
    regions |= {name: float(np.nanmean(at[where])) for name, where in extra.items()}
    return float(np.mean(at[face])), regions, laid


def outline_regions(heads: KnownHeads) -> dict[str, np.ndarray]:
    """Skin vertices that a photo shows by their outline: ears, jaw line, and the forehead under the hairline."""
    x, y, z = heads.neutral[SKIN].T
    beside = np.arange(len(x)) >= NARROW_FACE
    lips = heads.regions["mouth"]
    mouth, forehead = y[lips].mean(), heads.regions["forehead"]
    jaw = heads.regions["jaw"]
    return {
        "ears": np.flatnonzero(beside & (np.abs(x) > 0.071) & (y > -0.03) & (y < 0.055) & (z < 0.035)),
        "jaw_line": jaw[(np.abs(x[jaw]) > 0.025) & (y[jaw] < mouth)],
        "upper_forehead": forehead[y[forehead] > np.percentile(y[forehead], 60)],
    }


def _silhouette_iou(vertices: np.ndarray, triangles: np.ndarray, true: np.ndarray, fitted: Fit) -> float:
    """Of what the photo's camera sees above the chin, against the true silhouette [S, S]."""
    camera = fitted.camera
    chin = load_landmark_table().positions(fitted.posed)[ANCHORS_MEDIAPIPE[-1]] - [0.0, UNDER_CHIN, 0.0]
    column, row = np.meshgrid(np.arange(camera.width) + 0.5, np.arange(camera.height) + 0.5)
    up = camera.project(chin + [0.0, 0.05, 0.0]) - camera.project(chin)
    above = (np.stack([column, row], axis=-1) - camera.project(chin)) @ up > 0
    drawn = visibility(RayCaster(vertices, triangles), camera).hit & above
    true = true & above
    return float((drawn & true).sum() / max((drawn | true).sum(), 1))


@cache
def shown_face() -> np.ndarray:
    """[F] rows of the head model's face that can be seen from somewhere: not inside the lips nor behind the lids."""
    model = load_head_model()
    outer = onto_surface.shown_skin(model)
    vertices = model.vertices.astype(np.float64)
    open_ = sky_openness(RayCaster(vertices, outer), vertices, vertex_normals(vertices, outer)) > OPEN
    face = model.regions["face"]
    return face[open_[face]]


def _face_of(vertices: np.ndarray, triangles: np.ndarray, fitted: np.ndarray, outer: np.ndarray) -> np.ndarray:
    """The face of the fitted head [V, 3], each vertex moved to the surface's nearest point that faces as it does."""
    face = shown_face()
    normals = vertex_normals(fitted.astype(np.float64), outer)[face]
    return SurfaceIndex(vertices, triangles).nearest_facing(fitted[face], normals, FACING).points.astype(np.float32)
