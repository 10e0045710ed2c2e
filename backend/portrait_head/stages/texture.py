"""Stage 5: the textures of head and hair."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from portrait_head.geometry.capsule import Capsule
from portrait_head.head_model import load_head_model
from portrait_head.head_model.arkit import ARKIT_NAMES
from portrait_head.head_model.model import HeadModel
from portrait_head.photo.skin_tone import in_white_light
from portrait_head.progress import Progress
from portrait_head.rendering.lighting import linear_to_bytes, linear_to_srgb
from portrait_head.request import HeadRequest
from portrait_head.stages.fit import Fit
from portrait_head.stages.portrait import Portrait
from portrait_head.stages.sculpt import Sculpt
from portrait_head.texturing.bridging import bridged
from portrait_head.texturing.check import face_similarity, rerender
from portrait_head.texturing.eyes import iris_colour, paint_eyes
from portrait_head.texturing.grey import grey_like, is_grey
from portrait_head.texturing.hair import hair_uvs, paint_hair
from portrait_head.texturing.lashes import paint_lashes
from portrait_head.texturing.mouth import paint_mouth
from portrait_head.texturing.photo_regions import PhotoMasks, PhotoView, interocular, photo_masks
from portrait_head.texturing.scalp import HairTone, hair_tone
from portrait_head.texturing.skin import Head, SkinPaint, faces_of, paint_skin
from portrait_head.texturing.uv_raster import UvRaster, head_raster

QUICK_SIZE = 1024  # texels a side of the skin at the preset "quick"
SMALL_SHARE = 2  # eyes, mouth and lashes have half the skin's side
SMALL_LIMIT = 1024
WHOLE_COLOUR = 0.5  # delight from which the light's colour goes wholly: shading may please on a head, a cast does not

SMILES = ("mouthSmileLeft", "mouthSmileRight", "cheekSquintLeft", "cheekSquintRight")
# A broad smile may be told as dimples and a raised upper lip, which fold the cheeks about half as much.
HALF_SMILES = ("mouthDimpleLeft", "mouthDimpleRight", "mouthUpperUpLeft", "mouthUpperUpRight")
BLINKS = ("eyeBlinkLeft", "eyeBlinkRight")
FULL_SMILE = 0.8  # sum of smile and cheek weights of one side at which the cheeks are folded all they will
CLOSED_BLINK = 0.7
STRONG_SMILE = 0.6


@dataclass(frozen=True)
class Texture:
    """Base colours, sRGB uint8, one image a material; row 0 is the image's top (UV v = 1).

    Attributes:
        skin: [S, S, 3].
        confidence: [S, S] uint8, how well the photo, or a painted view of the diffusion tier, saw the skin.
        eyes: [E, E, 3].
        mouth: [E, E, 3] teeth, tongue and cavity.
        lashes: [E, E, 4] with alpha.
        hair: [H, W, 4] with alpha; 1 x 1 where there is no hair mesh.
        hair_uvs: [M, 3, 2] float32 for each corner of the hair's triangles; u beyond 1 repeats the image.
        ssim: structural similarity of the face re-rendered in the photo's camera before the light was taken out.
        warnings: sentences for the user.
    """

    skin: np.ndarray
    confidence: np.ndarray
    eyes: np.ndarray
    mouth: np.ndarray
    lashes: np.ndarray
    hair: np.ndarray
    hair_uvs: np.ndarray
    ssim: float
    warnings: tuple[str, ...] = ()


def run(request: HeadRequest, portrait: Portrait, fit: Fit, sculpt: Sculpt, progress: Progress) -> Texture:
    """Paint head and hair from the portrait."""
    model, fit = load_head_model(), sculpt.refine(fit)
    size = min(request.texture_size, QUICK_SIZE) if request.preset == "quick" else request.texture_size
    small = min(size // SMALL_SHARE, SMALL_LIMIT)
    apart = interocular(portrait.landmarks)
    portrait = replace(portrait, image=bridged(portrait.image, portrait.occluder, apart))
    parts = (portrait.person, portrait.hair, portrait.skin, portrait.occluder)
    view = PhotoView(portrait.image, portrait.valid, portrait.landmarks, *parts)
    masks = photo_masks(view)
    grey = is_grey(portrait.image)
    if not grey:
        # Once, before anything is measured or painted: skin, eyes, brows, lips and hair stood in the same light.
        amount = min(1.0, request.delight / WHOLE_COLOUR)
        portrait = replace(portrait, image=in_white_light(portrait.image, masks.plain > 0.5, amount))
        view = replace(view, image=portrait.image)
    tone = hair_tone(portrait.image, masks.hair)
    raster = head_raster("skin", size)
    progress(0.15)
    head = Head(model, fit.posed, fit.neutral, sculpt.scalp, sculpt.style == "cropped", _smile(fit))
    skin = paint_skin(head, raster, view, masks, fit.camera, tone, request.delight, request.seed)
    progress(0.65)
    iris, iris_seen = iris_colour(portrait.image, portrait.landmarks, skin.gain)
    eyes = paint_eyes(model, head_raster("eyes", small), iris, request.seed)
    mouth = paint_mouth(model, head_raster("mouth", small), request.seed)
    lashes = paint_lashes(model, head_raster("lashes", small), request.seed)
    if grey:
        eyes, mouth, lashes = grey_like(eyes), grey_like(mouth), grey_like(lashes)
        skin = replace(skin, colour=grey_like(skin.colour))
    progress(0.75)
    hair, uvs = _hair(model, portrait, fit, sculpt, masks, tone, size, request.seed)
    progress(0.9)
    ssim = _similarity(model, portrait, fit, masks, skin, raster, eyes, mouth)
    progress(1.0)
    return Texture(
        skin=_stored(raster.image(skin.colour)),
        confidence=_stored(raster.sparse_image(skin.trust)),
        eyes=linear_to_bytes(eyes),
        mouth=linear_to_bytes(mouth),
        lashes=_stored(np.concatenate([linear_to_srgb(lashes[..., :3]), lashes[..., 3:]], axis=-1)),
        hair=hair,
        hair_uvs=uvs,
        ssim=ssim,
        warnings=_warnings(portrait, fit, skin, tone, sculpt, iris_seen, grey),
    )


def _smile(fit: Fit) -> float:
    weight = {name: float(fit.expression[ARKIT_NAMES.index(name)]) for name in (*SMILES, *HALF_SMILES)}
    both_sides = sum(weight[name] for name in SMILES) + sum(weight[name] for name in HALF_SMILES) / 2
    return min(1.0, both_sides / 2 / FULL_SMILE)


def _stored(colour: np.ndarray) -> np.ndarray:
    """sRGB or alpha 0 to 1 as uint8."""
    return np.rint(np.clip(colour, 0, 1) * 255).astype(np.uint8)


def _hair(
    model: HeadModel,
    portrait: Portrait,
    fit: Fit,
    sculpt: Sculpt,
    masks: PhotoMasks,
    tone: HairTone,
    size: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The hair's texture [size / 2, size, 4] uint8 and its UVs [M, 3, 2]."""
    if len(sculpt.hair_triangles) == 0:
        return np.zeros((1, 1, 4), np.uint8), np.zeros((0, 3, 2), np.float32)
    eyes = np.concatenate([np.arange(*model.part(name).vertices) for name in ("eye_left", "eye_right")])
    capsule = Capsule.around(fit.neutral[slice(*model.part("skin").vertices)], fit.neutral[eyes])
    uvs = hair_uvs(sculpt.hair_vertices, sculpt.hair_triangles, capsule)
    colour = paint_hair(
        sculpt.hair_vertices,
        sculpt.hair_triangles,
        uvs,
        capsule,
        portrait.image,
        masks.hair,
        fit.camera,
        (fit.posed, faces_of(model, "skin", "eyes", "mouth")),
        tone,
        (size // 2, size),
        seed,
    )
    return _stored(colour), uvs


def _similarity(
    model: HeadModel,
    portrait: Portrait,
    fit: Fit,
    masks: PhotoMasks,
    skin: SkinPaint,
    raster: UvRaster,
    eyes: np.ndarray,
    mouth: np.ndarray,
) -> float:
    rows, columns = np.nonzero(masks.face > 0)
    if len(rows) == 0:
        return 0.0
    margin = 8
    side = portrait.image.shape[0]
    box = (
        max(int(columns.min()) - margin, 0),
        max(int(rows.min()) - margin, 0),
        min(int(columns.max()) + margin, side),
        min(int(rows.max()) + margin, side),
    )
    names = ("skin", "eyes", "mouth")
    kept = [np.arange(2 * part.faces[0], 2 * part.faces[1]) for part in model.parts if part.material in names]
    material = [
        np.full(2 * (part.faces[1] - part.faces[0]), names.index(part.material))
        for part in model.parts
        if part.material in names
    ]
    used = np.concatenate(kept)
    in_photo_light = tuple(linear_to_srgb(colour / max(skin.gain, 0.1)) for colour in (eyes, mouth))
    picture, found = rerender(
        fit.posed,
        model.triangles()[used],
        model.uvs[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3, 2)[used],
        np.concatenate(material),
        (raster.image(skin.before), *in_photo_light),
        fit.camera,
        box,
    )
    left, top, right, bottom = box
    photo = portrait.image[top:bottom, left:right].astype(np.float32) / 255
    region = (masks.face[top:bottom, left:right] > 0) & (found >= 0)
    return face_similarity(photo, picture, region)


def _warnings(
    portrait: Portrait, fit: Fit, skin: SkinPaint, tone: HairTone, sculpt: Sculpt, iris_seen: bool, grey: bool
) -> tuple[str, ...]:
    """What about the photo keeps the textures from being better."""
    found = []
    if grey:
        found.append("The photo has no colour: the head is grey too. Use a colour photo.")
    if not skin.measured:
        found.append("Too little bare skin is visible to measure its colour: a usual one fills the gaps.")
    blink = max(float(fit.expression[ARKIT_NAMES.index(name)]) for name in BLINKS)
    if blink > CLOSED_BLINK:
        found.append("The eyes are closed in the photo: their colour is a guess and the open lids are painted over.")
    elif not iris_seen:
        found.append("The irises are too small or hidden in the photo: their colour is a guess.")
    if _smile(fit) > STRONG_SMILE:
        found.append(
            "The photo smiles: traces of the folds stay on the resting face. A neutral photo gives a cleaner one."
        )
    if len(sculpt.hair_triangles) and not tone.measured:
        found.append("Too little hair is visible to measure its colour: brown was taken.")
    return tuple(found)
