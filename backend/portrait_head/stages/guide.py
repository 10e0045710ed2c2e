"""Stage 3: what the sculpting is guided by besides the photo itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import cv2
import numpy as np

from portrait_head.diffusion.reference_maps import ReferenceMaps, ReferencePhoto
from portrait_head.geometry.surface import vertex_normals
from portrait_head.head_model import load_head_model
from portrait_head.identity.embedding import IdentityEmbedding
from portrait_head.progress import Progress
from portrait_head.rendering.raycast import RayCaster, visibility
from portrait_head.request import HeadRequest
from portrait_head.sculpting.head_solid import EYES, head_solid
from portrait_head.stages.fit import Fit
from portrait_head.stages.portrait import Portrait

HEAD_MARGIN = 0.04  # of the window's side: what the fitted head may lack of the person's


class Seer(Protocol):
    """Sees more in a photo than the fit; `diffusion.tier.Tier` is one."""

    def caption(self, prompt: str, picture: np.ndarray) -> str:
        """Words for the person, from the user's or from the picture [S, S, 3] uint8."""
        ...

    def identity_vector(self, person: IdentityEmbedding | None) -> np.ndarray:
        """[512] who it is."""
        ...

    def references(self, photo: ReferencePhoto, preset: str) -> ReferenceMaps:
        """Normals and depth of the person in the photo."""
        ...

    def notes(self) -> tuple[str, ...]:
        """What the user should know about it."""
        ...


@dataclass(frozen=True)
class Guide:
    """References in the photo's camera.

    Attributes:
        normals: [S, S, 3] float32 unit normals of the fitted head, camera space (x right, y up, z to the viewer), not
            encoded; zero where the head is not seen.
        depth: [S, S] float32 metres from the camera's plane, infinite where the head is not seen.
        face: [S, S] float32, 0 to 1, where that is the skin of the face and no ear, neck, scalp or open mouth,
            and nothing stands before it.
        reference_normals: [S, S, 3] float32 as `normals`, of the person and not of the fit, from a model pack or from
            the user; zero where unknown; None where there are none.
        reference_depth: [S, S] float32 growing away from the viewer, in any unit and from any zero; infinite where
            unknown; None where there is none.
        caption: words for the person.
        warnings: sentences for the user.
    """

    normals: np.ndarray
    depth: np.ndarray
    face: np.ndarray
    reference_normals: np.ndarray | None = None
    reference_depth: np.ndarray | None = None
    caption: str = ""
    warnings: tuple[str, ...] = ()


def run(request: HeadRequest, portrait: Portrait, fit: Fit, progress: Progress, seer: Seer | None = None) -> Guide:
    """Normals and depth of the fitted head as the photo sees it, and of the person where somebody can see them.

    Args:
        request: its prompt and its preset.
        portrait: the photo and who it is.
        fit: the fitted head.
        progress: told how far it is.
        seer: sees the person in the photo; None, as in the embedded tier, for the fit alone.

    Raises:
        PortraitHeadError: what the seer's models raise.
    """
    guide = _of_fit(fit)
    guide = replace(guide, face=guide.face * ~portrait.occluder)
    progress(0.5 if seer is None else 0.1)
    if seer is not None:
        guide = _with_person(request, portrait, guide, seer)
    progress(1.0)
    return guide


def _of_fit(fit: Fit) -> Guide:
    model = load_head_model()
    skin = head_solid(model, fit.posed)
    eyes = [model.part(f"eye_{side}") for side in EYES]
    shown = np.concatenate([skin.triangles, *(model.triangles()[2 * e.faces[0] : 2 * e.faces[1]] for e in eyes)])
    is_face = np.zeros(len(model.vertices))
    is_face[model.regions["face"]] = 1.0
    hits = visibility(RayCaster(skin.vertices, shown), fit.camera)
    normals = hits.interpolate(vertex_normals(skin.vertices, shown), shown) @ fit.camera.rotation.T
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    normals = np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)
    depth = -fit.camera.to_camera(hits.interpolate(skin.vertices, shown))[..., 2]
    face = hits.interpolate(skin.spread(is_face)[:, None], shown)[..., 0]
    return Guide(
        normals.astype(np.float32), np.where(hits.hit, depth, np.inf).astype(np.float32), face.astype(np.float32)
    )


def _with_person(request: HeadRequest, portrait: Portrait, guide: Guide, seer: Seer) -> Guide:
    """The same with normals and depth of the person and not of the fit."""
    caption = seer.caption(request.prompt, portrait.image)
    mask = head_mask(portrait, guide)
    who = seer.identity_vector(portrait.identity)
    photo = ReferencePhoto(portrait.image, mask, who, caption, guide.normals, guide.face)
    maps = seer.references(photo, request.preset)
    side = len(portrait.image)
    if not maps.mask.any():
        return replace(guide, caption=caption, warnings=seer.notes())
    normals = _resized(maps.normals, maps.mask, side)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    normals = np.divide(normals, length, out=np.zeros_like(normals), where=length > 0)
    depth = None
    if maps.depth_mask.any():
        known = _resized(maps.depth_mask.astype(np.float32), maps.depth_mask, side) > 0
        depth = np.where(known, _resized(maps.depth, maps.depth_mask, side), np.inf).astype(np.float32)
    return replace(guide, reference_normals=normals, reference_depth=depth, caption=caption, warnings=seer.notes())


def head_mask(portrait: Portrait, guide: Guide) -> np.ndarray:
    """[S, S] float32, 0 to 1: the person's head with its hair, without shoulders and background."""
    side = len(portrait.image)
    seen = np.isfinite(guide.depth).astype(np.uint8)
    reach = np.ones((2 * round(HEAD_MARGIN * side) + 1,) * 2, np.uint8)
    around = cv2.dilate(seen, reach) > 0
    return np.where(portrait.valid & (around | (portrait.hair > 0.5)), portrait.person, 0.0).astype(np.float32)


def _resized(image: np.ndarray, mask: np.ndarray, side: int) -> np.ndarray:
    """An image [s, s, ...] as [side, side, ...], zero outside its mask and not mixed with what lies there."""
    if len(image) == side:
        return image * mask.reshape(mask.shape + (1,) * (image.ndim - 2)).astype(np.float32)
    weight = mask.astype(np.float32)
    spread = weight.reshape(weight.shape + (1,) * (image.ndim - 2))
    size = (side, side)
    mixed = cv2.resize(image * spread, size, interpolation=cv2.INTER_LINEAR)
    share = cv2.resize(weight, size, interpolation=cv2.INTER_LINEAR)
    inside = (share > 0.5).reshape(share.shape + (1,) * (image.ndim - 2))
    return np.where(inside, mixed / np.maximum(share.reshape(inside.shape), 1e-6), 0.0).astype(np.float32)
