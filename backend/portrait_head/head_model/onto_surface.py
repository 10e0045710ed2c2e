"""The head model laid onto a sculpted surface: what of it follows the sculpt, and what only goes along."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import KDTree

from portrait_head.geometry.cut import Piece, part
from portrait_head.geometry.nearest import SurfaceIndex
from portrait_head.geometry.registration import Registered, RegistrationConfig, register
from portrait_head.head_model.model import HeadModel

SIDES = ("left", "right")
REGISTRATION = RegistrationConfig()


@dataclass(frozen=True)
class TrustConfig:
    """How far a sculpt of 2-3 mm cells can be believed round what is finer than that.

    Metres on the template, as (nothing, everything): nearer to the place than the first the sculpt has no say, beyond
    the second it has all. Tuned on voxelised heads of which the truth is known.

    Attributes:
        lids: from the innermost line of the lids: margins and lashes, whose gap no cell resolves.
        lips: from the line between the lips.
        nostrils: from the skin inside the nostrils.
        rim: from the neck's open border, beyond which the sculpt has its floor.
        ears: share of a say on the outer ear, thinner than a cell in places.
    """

    lids: tuple[float, float] = (0.004, 0.012)
    lips: tuple[float, float] = (0.004, 0.011)
    nostrils: tuple[float, float] = (0.002, 0.007)
    rim: tuple[float, float] = (0.006, 0.018)
    ears: float = 0.5


@dataclass(frozen=True)
class OnSculpt:
    """The head model on a sculpt of head and hair, and the sculpt in its two parts.

    Attributes:
        vertices: [V, 3] float64 metres, the head at rest.
        trust: [V], 0 to 1: how far the skin beside each vertex can be believed; 0 under hair.
        paired: [V], 0 to 1, how much of a say it had.
        skin: the sculpt's skin.
        hair: the sculpt's hair; empty where there is none.
    """

    vertices: np.ndarray
    trust: np.ndarray
    paired: np.ndarray
    skin: Piece
    hair: Piece


def follow_sculpt(
    model: HeadModel, vertices: np.ndarray, sculpt: tuple[np.ndarray, np.ndarray], hair: np.ndarray
) -> OnSculpt:
    """Part a sculpt into skin and hair and lay the head onto the skin.

    Args:
        model: the head model.
        vertices: [V, 3] metres, the fitted head at rest.
        sculpt: vertices [N, 3] metres and triangles [M, 3] of head and hair as one surface at rest.
        hair: [N] positive where the surface is hair's.
    """
    hair_piece, skin_piece = part(*sculpt, hair[None])
    found = lay_onto(model, vertices, (skin_piece.vertices, skin_piece.triangles), sculpt_trust(model))
    skin = np.arange(*model.part("skin").vertices)
    trust = sculpt_trust(model)
    if len(hair_piece.vertices):
        # Skin is believed where the sculpt's nearest is skin, not hair that lies over it.
        above = SurfaceIndex(hair_piece.vertices, hair_piece.triangles).nearest(found.vertices[skin]).distance
        trust[skin] *= np.clip(above / np.maximum(found.gap[skin], 1e-9) - 1, 0.0, 1.0)
    return OnSculpt(found.vertices, trust, found.paired, skin_piece, hair_piece)


def sculpt_trust(model: HeadModel, config: TrustConfig = TrustConfig()) -> np.ndarray:
    """[V] float64, 0 to 1: how much a sculpt can say about each vertex of the head."""
    trust = np.zeros(len(model.vertices))
    skin = np.arange(*model.part("skin").vertices)
    trust[skin] = 1.0
    for side in SIDES:
        trust[model.regions[f"ear_{side}"]] = config.ears
        trust[skin] *= _faded(model, skin, model.regions[f"eye_loop_{side}"], config.lids)
    trust[skin] *= _faded(model, skin, model.regions["mouth_loop"], config.lips)
    trust[skin] *= _faded(model, skin, model.regions["nostrils"], config.nostrils)
    trust[skin] *= _faded(model, skin, model.regions["rim"], config.rim)
    for side in SIDES:
        trust[model.regions[f"eye_socket_{side}"]] = 0.0
    return trust


def shown_skin(model: HeadModel) -> np.ndarray:
    """[T, 3] triangles of the skin that is not hidden behind the eyeballs: what a sculpt shows."""
    first, last = model.part("skin").faces
    triangles = model.triangles()[2 * first : 2 * last]
    hidden = np.concatenate([model.regions[f"eye_socket_{side}"] for side in SIDES])
    return triangles[~np.isin(triangles, hidden).any(axis=1)]


def lay_onto(
    model: HeadModel,
    vertices: np.ndarray,
    target: tuple[np.ndarray, np.ndarray],
    trust: np.ndarray,
    config: RegistrationConfig = REGISTRATION,
) -> Registered:
    """The head at rest with its skin on a sculpted surface.

    The mouth's cavity is one surface with the skin; lashes go with the lids under them, each eyeball and the teeth with
    the tongue as a whole with the skin around them.

    Args:
        model: the head model.
        vertices: [V, 3] metres, the fitted head at rest.
        target: vertices [N, 3] and triangles [M, 3] of the sculpt's skin, without hair and clothes.
        trust: [V], of `sculpt_trust`, lowered where more is known (skin under hair).
        config: of the registration.
    """
    surface = slice(model.part("skin").vertices[0], model.part("mouth").vertices[1])
    quads = model.quads[model.part("skin").faces[0] : model.part("mouth").faces[1]]
    found = register(vertices[surface], quads, trust[surface], target, config)
    moved = np.array(vertices, dtype=np.float64)
    moved[surface] = found.vertices
    step = moved - vertices
    skin = np.arange(*model.part("skin").vertices)
    tree = KDTree(model.vertices[skin])
    lashes = slice(*model.part("lashes").vertices)
    moved[lashes] += step[skin[tree.query(model.vertices[lashes])[1]]]
    for side in SIDES:
        moved[slice(*model.part(f"eye_{side}").vertices)] += step[model.regions[f"eye_loop_{side}"]].mean(axis=0)
    for name in ("teeth_upper", "teeth_lower", "tongue"):
        moved[slice(*model.part(name).vertices)] += step[model.regions["mouth_loop"]].mean(axis=0)
    whole = np.zeros((2, len(moved)))
    whole[0, surface], whole[1, surface] = found.paired, found.gap
    return replace(found, vertices=moved, paired=whole[0], gap=whole[1])


def _faded(model: HeadModel, skin: np.ndarray, place: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """[S] a smooth step of the skin's distance from some of its vertices."""
    distance = KDTree(model.vertices[place]).query(model.vertices[skin])[0]
    share = np.clip((distance - limits[0]) / (limits[1] - limits[0]), 0.0, 1.0)
    return share * share * (3 - 2 * share)
