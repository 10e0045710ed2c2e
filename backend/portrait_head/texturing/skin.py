"""The skin texture, from photo to finished base colour."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from portrait_head.geometry.surface import vertex_normals
from portrait_head.head_model.model import HeadModel
from portrait_head.rendering.camera import PinholeCamera
from portrait_head.rendering.lighting import linear_to_srgb, srgb_to_linear
from portrait_head.texturing.brows import unstretched
from portrait_head.texturing.completion import blotches, complete, skin_detail
from portrait_head.texturing.delight import (
    LUMINANCE,
    darker_than_mirror,
    one_sided,
    shading,
    uneven,
    without_creases,
    without_shine,
)
from portrait_head.texturing.occlusion import ambient_occlusion
from portrait_head.texturing.photo_regions import PhotoMasks, PhotoView
from portrait_head.texturing.projection import Projected, depth_view, project
from portrait_head.texturing.scalp import HairTone, paint_scalp
from portrait_head.texturing.shaping import mix, step
from portrait_head.texturing.surface_fill import edge_laplacian, fill, gather
from portrait_head.texturing.uv_raster import UvRaster

SURFACE, BARE, PLAIN, FOLDED, LIPS, REDDENED, HAIR = range(7)  # columns of the projected shares


@dataclass(frozen=True)
class SkinConfig:
    """Colours are linear RGB, lengths metres."""

    default_tone: tuple[float, float, float] = (0.48, 0.27, 0.19)
    default_lips: tuple[float, float, float] = (0.80, 0.50, 0.50)  # times the skin's tone
    least_skin: float = 40.0  # vertices' worth of plain skin that a tone can be measured on
    least_lips: int = 150  # texels
    hidden_from: float = 0.12  # ambient occlusion under which a texel is a hole, not skin
    hidden_to: float = 0.32
    hole: tuple[float, float, float] = (0.045, 0.016, 0.012)
    lip_hole: float = 0.35  # how much of a hole the hidden inside of the lips is: they open
    ear_hole: float = 0.4
    shadow_from: float = 0.4  # log: skin so much darker than the other side is taken from there
    shadow_to: float = 1.0
    neck_seen: float = 0.035  # how far below the jaw the photo's neck is still used
    off_face_contrast: float = 0.35  # what remains of light and dark on neck, ears and scalp
    ear_warmth: tuple[float, float, float] = (1.03, 0.93, 0.92)
    tone_pull: float = 0.01
    lip_softening: float = 0.2  # towards the skin: only their middle is as red as their median
    lip_pull: float = 0.25  # lips that were not seen take the colour of those that were, not of the skin around
    crease_lift: float = 0.75  # of the folds of a full smile


@dataclass(frozen=True)
class Head:
    """The head to paint.

    Attributes:
        model: the head model.
        posed: [V, 3] float32 metres, as the photo shows it.
        neutral: [V, 3] float32 metres, at rest.
        scalp: [V], 0 to 1, where hair grows.
        cropped: hair so short that the photo's own hair belongs on the scalp.
        smile: 0 to 1, how strongly the photo's expression folds the cheeks.
    """

    model: HeadModel
    posed: np.ndarray
    neutral: np.ndarray
    scalp: np.ndarray
    cropped: bool
    smile: float


@dataclass(frozen=True)
class SkinPaint:
    """Attributes:
    colour: [N, 3] float32 sRGB 0 to 1, finished.
    before: [N, 3] float32 sRGB with the photo's light still in it.
    trust: [N] float32, how well the photo saw each texel.
    gain: what took the light out at the middle of the face, for the colours of eyes: a factor on linear light.
    tone: [3] linear RGB of the skin.
    measured: False where too little skin was seen to measure light and tone.
    """

    colour: np.ndarray
    before: np.ndarray
    trust: np.ndarray
    gain: float
    tone: np.ndarray
    measured: bool


def paint_skin(
    head: Head,
    raster: UvRaster,
    view: PhotoView,
    masks: PhotoMasks,
    camera: PinholeCamera,
    hair: HairTone,
    delight: float,
    seed: int,
    config: SkinConfig = SkinConfig(),
) -> SkinPaint:
    """Project, take the light out, complete, add the scalp.

    Args:
        head: what to paint.
        raster: of the material `skin`.
        view, masks: the photo.
        camera: of the photo.
        hair: colours of the hair.
        delight: 0 to 1.
        seed: of everything grown.
    """
    model, count = head.model, len(head.posed)
    skin, blockers = faces_of(model, "skin"), faces_of(model, "skin", "eyes", "mouth")
    laplacian = edge_laplacian(skin, count)
    normals = vertex_normals(head.posed, skin)
    skins = (masks.surface, masks.bare, masks.plain, masks.folded)
    purposes = np.stack([*skins, masks.lips, masks.reddened, masks.hair], axis=-1)
    seen = depth_view(head.posed, blockers, camera)
    read_at = unstretched(head.posed, head.neutral, skin, view.image, view.landmarks, camera)
    photo = project(view.image, purposes, camera, head.posed, normals, seen, raster, read_at)
    at_rest = vertex_normals(head.neutral, skin)
    open_sky = ambient_occlusion(head.neutral, at_rest, blockers)
    photo.shares[:, :HAIR] *= raster.spread(_limit(head, open_sky, config))[:, None]
    photo.shares[:, SURFACE] *= _lip_agreement(model, raster, photo.shares, laplacian)
    trust, plain = photo.shares[:, SURFACE], photo.shares[:, PLAIN]
    seen_trust = trust.copy()

    face = _indicator(model, count, "face")
    lit, seen_plain = gather(raster.weights, srgb_to_linear(photo.colour), plain)
    measured = bool((seen_plain * face).sum() >= config.least_skin)
    gain = np.ones_like(lit)
    if measured and delight > 0:
        both_sides, seen_bare = gather(raster.weights, srgb_to_linear(photo.colour), photo.shares[:, BARE])
        bare = Seen(both_sides, seen_bare * face)
        gain = _light_gain(Seen(lit, seen_plain * face), bare, normals, model.mirror, laplacian, delight)
        # What lies in deep shadow is noise once it is brightened: the lit side of the face tells more.
        deeper = darker_than_mirror(bare.linear, bare.trust, model.mirror, laplacian)
        photo.shares[:, :LIPS] *= 1 - raster.spread(step(deeper, config.shadow_from, config.shadow_to))[:, None]
    tone = _tone(lit, gain, face, seen_plain) if measured else np.array(config.default_tone, np.float32)
    tone = tone.astype(np.float32)

    before = _before(raster, photo, seen_trust, laplacian, tone)
    colour = photo.colour
    if measured:
        creases = config.crease_lift * head.smile
        colour = _without_light(raster, photo, gain, tone, laplacian, delight, creases)
    off_face = fill(laplacian, 1 - face[:, None], np.ones(count), np.zeros(1), smoothness=2.0)[:, 0]
    colour = _even_off_face(raster, colour, off_face, tone, config)

    points = raster.spread(head.neutral)
    facing = raster.spread(at_rest)
    own, own_trust = gather(raster.weights, colour, trust)
    own_smooth = raster.spread(fill(laplacian, own, own_trust, linear_to_srgb(tone)))
    inner_face = plain * (raster.spread(face) > 0.9)
    detail, fine = skin_detail(raster, colour, own_smooth, inner_face, points, facing, seed)
    tones, pull = _tones(model, tone, _lip_tone(colour, photo, tone, config), count, config)
    tones = tones + blotches(head.neutral, at_rest, seed + 5)
    lent = 1 - _kept_brows(model, own_trust, laplacian)
    colour = complete(raster, colour, trust, tones, pull, model.mirror, laplacian, detail, lent)
    colour *= 1 + fine[:, None]
    colour = mix(colour, linear_to_srgb(np.array(config.hole)), raster.spread(_holes(model, open_sky, config)))
    hairy = photo.shares[:, HAIR] if head.cropped else np.zeros_like(trust)
    colour = paint_scalp(raster, laplacian, colour, photo.colour, hairy, head.scalp, points, facing, hair, seed)
    return SkinPaint(
        colour=np.clip(colour, 0, 1).astype(np.float32),
        before=before,
        trust=seen_trust,
        gain=float(np.median(gain[model.regions["nose"]] @ LUMINANCE)),
        tone=tone,
        measured=measured,
    )


def faces_of(model: HeadModel, *materials: str) -> np.ndarray:
    """Triangles [T, 3] of all parts with one of these materials."""
    rows = [np.arange(2 * p.faces[0], 2 * p.faces[1]) for p in model.parts if p.material in materials]
    return model.triangles()[np.concatenate(rows)]


def _indicator(model: HeadModel, count: int, *regions: str) -> np.ndarray:
    inside = np.zeros(count, np.float32)
    for region in regions:
        inside[model.regions[region]] = 1.0
    return inside


def _limit(head: Head, open_sky: np.ndarray, config: SkinConfig) -> np.ndarray:
    """How far [V] the photo may be trusted by place: not in holes, on ears (they are not fitted), low on the neck."""
    regions = head.model.regions
    limit = step(open_sky, config.hidden_from, config.hidden_to)
    # Lips touch at rest, so they are hidden there, but the photo may have them apart.
    limit[regions["lips"]] = 1.0
    jaw = head.neutral[regions["face"], 1].min()
    neck = regions["neck"]
    limit[neck] *= 0.7 * step(head.neutral[neck, 1], jaw - config.neck_seen, jaw)
    for region in ("ear_left", "ear_right", "eye_socket_left", "eye_socket_right"):
        limit[regions[region]] = 0.0
    return (limit * (1 - np.clip(head.scalp * 1.5, 0, 1))).astype(np.float32)


def _lip_agreement(model: HeadModel, raster: UvRaster, shares: np.ndarray, laplacian: csr_matrix) -> np.ndarray:
    """[N] 1 where photo and head agree on what is lip: skin is not painted on lips, nor their red beside them."""
    red = _indicator(model, len(model.vertices), "lips")
    beside = ((laplacian != 0) @ red > 0).astype(np.float32)
    inside, near = raster.spread(red), raster.spread(beside)
    return (1 - inside * (1 - shares[:, LIPS])) * (1 - (1 - near) * shares[:, REDDENED])


@dataclass(frozen=True)
class Seen:
    """Linear colours [V, 3] at the vertices and how far [V] the photo saw them."""

    linear: np.ndarray
    trust: np.ndarray


def _light_gain(
    plain: Seen,
    bare: Seen,
    normals: np.ndarray,
    mirror: np.ndarray,
    laplacian: csr_matrix,
    delight: float,
) -> np.ndarray:
    """Factor [V, 3] on linear colours that evens the light."""
    light = shading(normals, plain.linear, plain.trust)
    if light is None:
        return np.ones_like(plain.linear)
    gain = light ** np.float32(-delight)
    gain = gain * np.exp(-np.float32(delight) * one_sided(bare.linear * gain, bare.trust, mirror, laplacian))
    return gain * np.exp(-np.float32(delight) * uneven(bare.linear * gain, bare.trust, laplacian))


def _tone(lit: np.ndarray, gain: np.ndarray, face: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """[3] linear RGB of the face's skin with a gain [V, 3] on what the photo shows."""
    good = np.flatnonzero((face > 0) & (seen > 0.2))
    return np.median((lit * gain)[good], axis=0)


def _before(
    raster: UvRaster, photo: Projected, trust: np.ndarray, laplacian: csr_matrix, tone: np.ndarray
) -> np.ndarray:
    """The photo as it is [N, 3] sRGB, smoothly continued."""
    known, known_trust = gather(raster.weights, photo.colour, trust)
    before = raster.spread(fill(laplacian, known, known_trust, linear_to_srgb(tone)))
    before += (photo.colour - before) * step(trust, 0.0, 0.1)[:, None]
    return np.clip(before, 0, 1).astype(np.float32)


def _without_light(
    raster: UvRaster,
    photo: Projected,
    gain: np.ndarray,
    tone: np.ndarray,
    laplacian: csr_matrix,
    delight: float,
    creases: float,
) -> np.ndarray:
    """sRGB texels [N, 3] with shading, one-sided shadow, shine and folds taken out where the photo was seen."""
    rows = np.flatnonzero(photo.shares[:, SURFACE] > 0)
    weights, plain = raster.weights[rows], photo.shares[rows, PLAIN]
    linear = srgb_to_linear(photo.colour[rows]) * (weights @ gain.astype(np.float32))
    known, known_trust = gather(weights, linear, plain)
    # The skin around a highlight, not the highlight itself, says how bright it should be.
    base = weights @ fill(laplacian, np.minimum(known, tone * 1.25), known_trust, tone, smoothness=6.0)
    linear = without_shine(linear, base, delight * plain)
    linear = without_creases(linear, base, creases * photo.shares[rows, FOLDED])
    out = photo.colour.copy()
    out[rows] = linear_to_srgb(linear)
    return out


def _even_off_face(
    raster: UvRaster, colour: np.ndarray, off_face: np.ndarray, tone: np.ndarray, config: SkinConfig
) -> np.ndarray:
    """Neck and temples hold shadows of chin and hair: pull their light and dark towards the face's tone."""
    amount = np.clip(raster.spread(off_face), 0, 1) * (1 - config.off_face_contrast)
    return (colour + (linear_to_srgb(tone) - colour) * amount[:, None]).astype(np.float32)


def _lip_tone(colour: np.ndarray, photo: Projected, tone: np.ndarray, config: SkinConfig) -> np.ndarray:
    """[3] sRGB colour of the lips."""
    seen = colour[photo.shares[:, LIPS] > 0.7]
    if len(seen) < config.least_lips:
        return linear_to_srgb(tone * np.array(config.default_lips))
    return np.median(seen, axis=0)


def _tones(
    model: HeadModel, tone: np.ndarray, lips: np.ndarray, count: int, config: SkinConfig
) -> tuple[np.ndarray, np.ndarray]:
    """sRGB colour [V, 3] of what is not seen, and how strongly [V] it holds."""
    tones = np.broadcast_to(linear_to_srgb(tone), (count, 3)).copy()
    pull = np.full(count, config.tone_pull)
    for ear in ("ear_left", "ear_right"):
        tones[model.regions[ear]] = linear_to_srgb(tone * np.array(config.ear_warmth))
    tones[model.regions["lips"]] = lips + config.lip_softening * (linear_to_srgb(tone) - lips)
    pull[model.regions["lips"]] = config.lip_pull
    return tones, pull


def _kept_brows(model: HeadModel, seen: np.ndarray, laplacian: csr_matrix) -> np.ndarray:
    """How far [V] a vertex lies by a brow that the photo shows: the other one does not belong there as well."""
    kept = np.zeros(len(seen))
    for name in ("brow_left", "brow_right"):
        rows = model.regions[name]
        kept[rows] = step(np.asarray(np.median(seen[rows])), 0.3, 0.6)
    around = fill(laplacian, kept[:, None], np.ones(len(seen)), np.zeros(1), smoothness=2.0, pull=0)[:, 0]
    return np.clip(3 * around, 0, 1).astype(np.float32)


def _holes(model: HeadModel, open_sky: np.ndarray, config: SkinConfig) -> np.ndarray:
    """How far [V] a vertex lies in a hole (nostrils, behind the lids) and is dark."""
    hole = 1 - step(open_sky, config.hidden_from, config.hidden_to)
    hole[model.regions["lips"]] *= config.lip_hole
    hole[model.regions["rim"]] = 0.0  # where the neck ends, what it hides is the head's open inside
    for ear in ("ear_left", "ear_right"):
        hole[model.regions[ear]] *= config.ear_hole
    return hole.astype(np.float32)
