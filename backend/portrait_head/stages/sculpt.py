"""Stage 4: the surface of the head with its hair."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch
from scipy.spatial import KDTree

from portrait_head.geometry import surface
from portrait_head.geometry.hair import HairVolume, hair_mesh, hair_volume, reshaped
from portrait_head.geometry.hair_maps import Head
from portrait_head.geometry.hair_settings import HairSettings
from portrait_head.geometry.hair_view import look
from portrait_head.geometry.solids import join
from portrait_head.geometry.tet_grid import TetGrid
from portrait_head.geometry.winding import Solid
from portrait_head.head_model import load_head_model, load_landmark_table
from portrait_head.head_model.model import HeadModel
from portrait_head.head_model.onto_surface import follow_sculpt, shown_skin
from portrait_head.progress import Progress
from portrait_head.rendering.preview import clay
from portrait_head.request import HeadRequest
from portrait_head.sculpting import rest
from portrait_head.sculpting.agreement import disagreement
from portrait_head.sculpting.config import SculptConfig, preset
from portrait_head.sculpting.given_mesh import given_mesh
from portrait_head.sculpting.guidance import ViewGuidance
from portrait_head.sculpting.head_solid import HeadSolid, head_solid
from portrait_head.sculpting.optimise import Sculptor, Stays, Watch
from portrait_head.sculpting.outline import Masks, Outline, head_outline
from portrait_head.sculpting.references import Maps, Reference, make_reference
from portrait_head.sculpting.start import depth_on_grid
from portrait_head.stages.fit import Fit
from portrait_head.stages.guide import Guide
from portrait_head.stages.portrait import Portrait
from portrait_head.threads import torch_threads

# MediaPipe's landmarks of eyes, nose and mouth: outer corners of the lids, the lids' edges under and over the pupils,
# root, tip and wings of the nose, corners of the mouth, both lips.
NEVER_HAIR = (33, 263, 159, 386, 145, 374, 168, 1, 129, 358, 61, 291, 0, 17)
CHIN, BROWS, MOUTH_CORNERS = 152, (105, 334), (61, 291)
EAR_OUTLINE = 0.006  # metres round an ear where the outline is the ear's
HAIRLINE = 0.004  # metres of face beside hair where normals and depth are not believed


@dataclass(frozen=True)
class Sculpt:
    """The head that the photo shows, carved free of the head model's topology, and the hair over the fitted head.

    Attributes:
        style: "none", "cropped" (a thin shell) or "volume".
        hair_vertices: [N, 3] float32 metres, head space; N = 0 where there is no hair mesh.
        hair_triangles: [M, 3] int32, outward.
        scalp: [V] float32, 0 to 1 for each vertex of the head: how much hair grows there.
        vertices: [S, 3] float32 metres, head and hair as one closed surface, at rest.
        triangles: [T, 3] int32, outward.
        hair: [S] float32 metres, positive where the surface is hair's, negative where it is skin's.
        posed: [S, 3] float32 metres, the same surface with the photo's expression, as it was carved.
        warnings: sentences for the user.
        head: [V, 3] float32 metres, the head of fixed topology at rest, laid onto the surface; None where it stays the
            fit's.
    """

    style: str
    hair_vertices: np.ndarray
    hair_triangles: np.ndarray
    scalp: np.ndarray
    vertices: np.ndarray
    triangles: np.ndarray
    hair: np.ndarray
    posed: np.ndarray
    warnings: tuple[str, ...] = ()
    head: np.ndarray | None = None

    def refine(self, fit: Fit) -> Fit:
        """The fit with its head, at rest and posed, as the carving has left it."""
        if self.head is None:
            return fit
        return replace(fit, neutral=self.head, posed=fit.posed + (self.head - fit.neutral))


def run(
    request: HeadRequest,
    portrait: Portrait,
    fit: Fit,
    guide: Guide,
    progress: Progress,
    config: SculptConfig | None = None,
    guidance: ViewGuidance | None = None,
) -> Sculpt:
    """Carve the portrait's head and hair; a bare head where there is no hair or none can be told.

    The carving happens in the photo's expression, where its cues are, and is carried to rest by the fit's own motion.

    Args:
        request: its preset chooses the configuration, its initial mesh the surface begun with.
        portrait: masks.
        fit: the head begun with where no mesh is given.
        guide: normals and depth.
        progress: told how far it is.
        config: instead of the preset's.
        guidance: judges views from elsewhere; None for none.

    Raises:
        PortraitHeadError: `sculpt_diverged` if a loss is not a number; what a given mesh raises.
    """
    model = load_head_model()
    config = config or preset(request.preset)
    referenced = guide.reference_normals is not None or guide.reference_depth is not None
    config = config.scaled(config.referenced) if referenced else config.unreferenced()
    growth = grow_hair(model, request, portrait, fit)
    progress(0.05)
    posed, neutral = head_solid(model, fit.posed), head_solid(model, fit.neutral)
    outline = photo_outline(request, portrait, fit, guide, growth)
    given = None
    if request.initial_mesh:
        given = given_mesh(Path(request.initial_mesh), model, fit.posed, posed.cut)
    points = np.concatenate([posed.vertices, growth.vertices, *([] if given is None else [given.kept])])
    reference = _reference(model, fit, guide, growth, outline, points, config.image_size)
    bounds = torch.from_numpy(np.stack([points.min(axis=0), points.max(axis=0)]))
    bounds += torch.tensor([[-1.0], [1.0]]) * config.grid.margin
    grid = TetGrid.over(bounds, config.grid.resolution)
    if given is None:
        depth, begun = (lambda at: _depth(at, posed, growth.volume, config)), _begun(posed, growth)
    else:
        depth, begun = given.solid().depth, (given.vertices, given.triangles)
    stays = _stays(grid, model, fit, posed, growth, config, told=referenced or guidance is not None)
    sculptor = Sculptor(grid, depth, begun, stays, reference, config, guidance)
    progress(0.12)

    def show(vertices: np.ndarray, triangles: np.ndarray) -> None:
        progress.show(clay(vertices, triangles, fit.camera))

    with torch_threads(1):
        carved = sculptor.run(Watch(lambda share: progress(0.12 + 0.8 * share), show))
    vertices = carved.vertices.astype(np.float64)
    resting = rest.carry(vertices, carved.triangles, posed, neutral)
    hair = np.full(len(vertices), -1.0)
    hair_vertices, hair_triangles = np.empty((0, 3)), np.empty((0, 3), np.int64)
    if growth.volume is not None:
        hair = growth.volume.depth(vertices) - posed.depth(vertices)
        hair_vertices, hair_triangles = _hair(growth.volume, neutral, resting, carved.triangles, config)
    progress(0.97)
    head = _laid(model, fit, (resting, carved.triangles), hair, reference) if referenced else None
    progress(1.0)
    return Sculpt(
        growth.style if len(hair_triangles) else "none",
        hair_vertices.astype(np.float32),
        hair_triangles.astype(np.int32),
        growth.scalp.astype(np.float32),
        resting.astype(np.float32),
        carved.triangles,
        hair.astype(np.float32),
        carved.vertices,
        growth.warnings + outline.warnings + (() if given is None else given.warnings),
        head,
    )


@dataclass(frozen=True)
class Growth:
    """Hair as the photo shows it, before any carving.

    Attributes:
        style: "none", "cropped" or "volume".
        volume: the space it takes up; None for none.
        scalp: [V] 0 to 1, where on the head it grows.
        mask: [S, S] bool, this head's hair in the photo.
        vertices: [N, 3] metres of its surface; N = 0 for none.
        triangles: [M, 3] of it.
        warnings: sentences for the user.
    """

    style: str
    volume: HairVolume | None
    scalp: np.ndarray
    mask: np.ndarray
    vertices: np.ndarray
    triangles: np.ndarray
    warnings: tuple[str, ...] = ()


def grow_hair(model: HeadModel, request: HeadRequest, portrait: Portrait, fit: Fit) -> Growth:
    """The portrait's hair laid over the fitted head at rest."""
    nothing = np.empty((0, 3)), np.empty((0, 3), dtype=np.int64)
    bare = Growth("none", None, np.zeros(len(model.vertices)), portrait.hair > 0.5, *nothing)
    if request.hair == "none" or portrait.hair_style not in ("cropped", "volume"):
        return bare  # why the hair is unknown, the portrait stage has already said
    head = _head(model, fit.neutral)
    never_hair = portrait.landmarks[list(NEVER_HAIR), :2]
    view = look(fit.camera, fit.posed, head.skin, head.ears, portrait.hair, portrait.person, portrait.valid, never_hair)
    generator = np.random.default_rng(request.seed)
    volume, scalp = hair_volume(head, fit.posed, view, portrait.hair_style, HairSettings(), generator)
    vertices, triangles = hair_mesh(volume, HairSettings()) if volume else nothing
    if len(triangles) == 0:
        return replace(bare, warnings=("No hair was found on the scalp: the head is left without.",))
    size = portrait.hair.shape[::-1]
    mask = cv2.resize(view.hair.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) > 0.5
    return Growth(portrait.hair_style, volume, scalp, mask, vertices, triangles)


def photo_outline(request: HeadRequest, portrait: Portrait, fit: Fit, guide: Guide, growth: Growth) -> Outline:
    """Where the portrait shows the edge of this head, and where that can be believed."""
    landmarks = load_landmark_table().positions(fit.posed)
    masks = Masks(portrait.person, growth.mask, portrait.skin, portrait.valid, growth.volume is not None)
    outline = head_outline(
        masks,
        portrait.image,
        fit.camera,
        np.isfinite(guide.depth),
        chin=float(landmarks[CHIN, 1]),
        brow=float(landmarks[list(BROWS), 1].mean()),
    )
    ears = _ear_pixels(load_head_model(), fit) & ~growth.mask
    return replace(outline, trust=np.where(ears, np.float32(0.0), outline.trust))


def _ear_pixels(model: HeadModel, fit: Fit) -> np.ndarray:
    """[S, S] bool: where the photo may show the ears."""
    metres = float(np.linalg.norm(fit.camera.position)) / fit.camera.focal
    drawn = np.zeros((fit.camera.height, fit.camera.width), np.uint8)
    for side in ("left", "right"):
        hull = cv2.convexHull(fit.camera.project(fit.posed[model.regions[f"ear_{side}"]]).astype(np.float32))
        cv2.fillConvexPoly(drawn, np.round(hull).astype(np.int32), (1,))
    reach = 2 * round(EAR_OUTLINE / metres) + 1
    return cv2.dilate(drawn, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (reach, reach))) > 0


def _reference(
    model: HeadModel, fit: Fit, guide: Guide, growth: Growth, outline: Outline, points: np.ndarray, size: int
) -> Reference:
    """The photo's view: outline, and the references where there are any, else the fit's own face."""
    table = load_landmark_table()
    landmarks = table.positions(fit.posed)
    normals = table.positions(surface.vertex_normals(fit.posed.astype(np.float64), model.triangles()))
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-9)
    metres = float(np.linalg.norm(fit.camera.position)) / fit.camera.focal
    beside = cv2.distanceTransform((~growth.mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) * metres
    trust = guide.face * (beside > HAIRLINE)
    seen = guide.normals if guide.reference_normals is None else guide.reference_normals
    depth = guide.depth if guide.reference_depth is None else guide.reference_depth
    if guide.reference_depth is not None:  # it knows more than landmarks, which would hold the fit
        landmarks, normals = landmarks[:0], normals[:0]
    maps = Maps(seen, depth, trust)
    return make_reference(fit.camera, outline, maps, guide.depth, points, landmarks, normals, size)


def _stays(
    grid: TetGrid,
    model: HeadModel,
    fit: Fit,
    posed: HeadSolid,
    growth: Growth,
    config: SculptConfig,
    told: bool,
) -> Stays:
    """What may leave its place: hair, the jaw line by half; all skin where references or guidance tell it how."""
    places = grid.vertices.cpu().numpy()
    hairy, ears = np.zeros(len(places)), fit.posed[_ears(model)]
    covered = np.zeros(len(ears), bool)
    if growth.volume is not None:
        above = growth.volume.depth(places) - depth_on_grid(grid, posed.depth).cpu().numpy()
        covered = growth.volume.depth(ears) > 0
        hairy = np.maximum(np.clip(above / config.hair_lead, 0.0, 1.0), _beside(places, ears[covered], config))
    beside = _beside(places, ears[~covered], config) * (1 - hairy)
    pliancy = np.ones(len(places))
    if not told:
        mouth = load_landmark_table().positions(fit.posed)[list(MOUTH_CORNERS), 1].mean()
        jaw = config.jaw_share * np.clip((mouth - places[:, 1]) / config.jaw_lead, 0.0, 1.0)
        pliancy = np.maximum(hairy, jaw * (1 - beside))
    held = 1 + (config.hold_ears - 1) * beside
    smooth = held * (1 + (config.smooth_bent - 1) * (hairy if told else pliancy))
    return Stays(*(torch.from_numpy(values.astype(np.float32)).to(grid.device) for values in (held, smooth, pliancy)))


def _laid(
    model: HeadModel, fit: Fit, sculpt: tuple[np.ndarray, np.ndarray], hair: np.ndarray, reference: Reference
) -> np.ndarray | None:
    """The fitted head at rest laid onto the sculpt [V, 3] float32; None where the references like it no better.

    Without references there is nothing that knows the skin better than the fit, and nothing to judge by.
    """
    found = follow_sculpt(model, fit.neutral.astype(np.float64), sculpt, hair).vertices.astype(np.float32)
    skin = shown_skin(model)
    moved = disagreement(reference, (fit.posed + (found - fit.neutral)).astype(np.float64), skin)
    return found if moved.less_than(disagreement(reference, fit.posed.astype(np.float64), skin)) else None


def _beside(places: np.ndarray, ears: np.ndarray, config: SculptConfig) -> np.ndarray:
    """[N] from 1 at the ears' vertices [E, 3] to 0 at `config.ear_reach` from them and where there are none."""
    if len(ears) == 0:
        return np.zeros(len(places))
    near, _ = KDTree(ears).query(places, distance_upper_bound=config.ear_reach)
    return np.clip(1 - near / config.ear_reach, 0.0, 1.0)


def _begun(head: HeadSolid, growth: Growth) -> tuple[np.ndarray, np.ndarray]:
    """Skin, eyes and hair as one mesh [V, 3], [F, 3] to look at from outside."""
    pieces = [
        (head.vertices, head.triangles),
        *(ball.mesh() for ball in head.eyes),
        (growth.vertices, growth.triangles),
    ]
    firsts = np.cumsum([0, *(len(vertices) for vertices, _ in pieces)])
    triangles = [piece[1] + first for piece, first in zip(pieces, firsts[:-1], strict=True)]
    return np.concatenate([piece[0] for piece in pieces]), np.concatenate(triangles)


def _depth(points: np.ndarray, head: HeadSolid, hair: HairVolume | None, config: SculptConfig) -> np.ndarray:
    """Metres under the surface of head and hair, negative outside."""
    skin = head.depth(points)
    if hair is None:
        return skin
    return join(skin, np.minimum(hair.depth(points), head.cut.height(points)), config.grid.join)


def _hair(
    volume: HairVolume, head: HeadSolid, vertices: np.ndarray, triangles: np.ndarray, config: SculptConfig
) -> tuple[np.ndarray, np.ndarray]:
    """The hair alone, moved by as much as the carving has moved the surface that it is part of."""
    carved = Solid(vertices, triangles)
    settings = HairSettings()
    moved = reshaped(volume, lambda at: carved.signed_distance(at) - _depth(at, head, volume, config), head.depth)
    return hair_mesh(moved, settings)


def _head(model: HeadModel, vertices: np.ndarray) -> Head:
    skin = model.part("skin")
    scalp = np.zeros(len(vertices))
    scalp[model.regions["scalp"]] = 1.0
    return Head(
        vertices=vertices,
        skin=model.triangles()[2 * skin.faces[0] : 2 * skin.faces[1]],
        ears=_ears(model),
        scalp=scalp,
        eyes=np.concatenate([np.arange(*model.part(f"eye_{side}").vertices) for side in ("left", "right")]),
        rim=model.regions["rim"],
    )


def _ears(model: HeadModel) -> np.ndarray:
    return np.concatenate([model.regions["ear_left"], model.regions["ear_right"]])
