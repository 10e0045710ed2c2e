"""The 52 ARKit expressions of a particular head.

MakeHuman's face units are displacements of its template. Carried to another head as they are, lids miss one another and
lips stay parted, so each is turned and scaled with the face around it, and what must touch is made to touch: closed
eyes, and the lips that `mouthClose` brings together while the jaw is open.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from portrait_head.head_model import eyelids, lips
from portrait_head.head_model.arkit import ARKIT_NAMES
from portrait_head.head_model.eyelids import Eye
from portrait_head.head_model.folds import FoldSmoother
from portrait_head.head_model.lips import Lips
from portrait_head.head_model.model import HeadModel, Part
from portrait_head.head_model.topology import QuadGraph

INDEX = {name: index for index, name in enumerate(ARKIT_NAMES)}
SIDES = ("Left", "Right")

# Degrees that the eyeball turns for a full look; a person's comfortable range.
LOOK_DEGREES = {"Down": 26.0, "In": 30.0, "Out": 30.0, "Up": 22.0}
# The source's balls turn less than that, and its lids with them.
LOOK_LIDS = {"Down": 1.3, "In": 1.2, "Out": 1.2, "Up": 1.3}

# Gains on expressions that are too weak in the source, and what is mixed in from others to complete them.
STRENGTHENED = {"mouthPucker": 1.45, "mouthFunnel": 0.95}
MIXED_IN = {
    "mouthFunnel": (("mouthPucker", 0.40),),
    # A tongue needs a way out between the lips.
    "tongueOut": (
        ("mouthLowerDownLeft", 0.55),
        ("mouthLowerDownRight", 0.55),
        ("mouthUpperUpLeft", 0.25),
        ("mouthUpperUpRight", 0.25),
    ),
}
# Not displacements to look at alone: the blinks are computed anew and mouthClose goes with jawOpen.
MADE_HERE = ("eyeBlinkLeft", "eyeBlinkRight", "mouthClose")
ONE_EYE = ("eyeBlink", "eyeLook", "eyeSquint", "eyeWide")
MIDLINE_FADE = 0.004  # metres over which an expression of one eye ends before the middle of the face

# Local change of shape between two heads: sampled on the skin, one vertex a cell, and averaged with this reach.
SAMPLE_CELL = 0.008
REACH = 0.018
STIFFNESS = 0.15  # pull towards an even scaling, as a share of the reach squared

# At most this share of the eye's opening goes when an expression other than a blink narrows it.
NARROWEST = 0.75
OPENING_PLACES = (0.2, 0.8)
RIGID_WITH_JAW = ("teeth_lower", "tongue")


@dataclass(frozen=True)
class FaceParts:
    """What moves by rules of its own: the lips and the (left, right) eyes with their blink's ring profiles."""

    lips: Lips
    eyes: tuple[Eye, Eye]
    profiles: tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def find_face_parts(
    vertices: np.ndarray,
    quads: np.ndarray,
    parts: tuple[Part, ...],
    regions: dict[str, np.ndarray],
    expressions: np.ndarray,
) -> FaceParts:
    """Lips and eyes of the template `vertices` [V, 3] with its `expressions` [52, V, 3]."""
    by_name = {part.name: part for part in parts}
    graph = QuadGraph(quads)
    eyes = []
    for side in ("left", "right"):
        loop, socket = regions[f"eye_loop_{side}"], regions[f"eye_socket_{side}"]
        ball, lashes = by_name[f"eye_{side}"], by_name["lashes"]
        eyes.append(eyelids.find_eye(vertices, quads, graph, loop, socket, ball, lashes))
    profiles = [
        eyelids.ring_profile(eye, expressions[INDEX[f"eyeBlink{side}"]]) for eye, side in zip(eyes, SIDES, strict=True)
    ]
    mouth = lips.find_lips(vertices, graph, regions["mouth_loop"], by_name["mouth"].vertices)
    return FaceParts(mouth, (eyes[0], eyes[1]), (profiles[0], profiles[1]))


def prepare_template(
    vertices: np.ndarray,
    quads: np.ndarray,
    parts: tuple[Part, ...],
    regions: dict[str, np.ndarray],
    mirror: np.ndarray,
    face_units: np.ndarray,
) -> np.ndarray:
    """MakeHuman's face units [52, V, 3] made whole on the template: [52, V, 3] float32.

    Symmetric, the weak ones strengthened, eyes that turn as balls, lids and lips that meet.
    """
    units = _symmetric(face_units.astype(np.float64), mirror)
    source = units.copy()
    for name, gain in STRENGTHENED.items():
        units[INDEX[name]] *= gain
    for name, others in MIXED_IN.items():
        units[INDEX[name]] += sum(share * source[INDEX[other]] for other, share in others)
    for side in SIDES:
        for direction, gain in LOOK_LIDS.items():
            units[INDEX[f"eyeLook{direction}{side}"]] *= gain
    face = find_face_parts(vertices, quads, parts, regions, units)
    return _complete(face, quads, vertices, vertices.astype(np.float64), units).astype(np.float32)


def carry_expressions(model: HeadModel, neutral: np.ndarray) -> np.ndarray:
    """The expressions of one person.

    Args:
        model: the head model.
        neutral: [V, 3] metres, this person at rest.

    Returns:
        [52, V, 3] float32 displacements from `neutral`, in the order of `ARKIT_NAMES`. `mouthClose` closes the lips
        on top of a full `jawOpen`.
    """
    skin = np.arange(*model.part("skin").vertices)
    hidden = [model.regions[f"{name}_{side}"] for name in ("eye_socket", "ear") for side in ("left", "right")]
    maps = local_maps(model.vertices, neutral, np.setdiff1d(skin, np.concatenate(hidden)))
    for name in RIGID_WITH_JAW:
        rows = slice(*model.part(name).vertices)
        maps[rows] = maps[rows].mean(axis=0)
    deltas = np.einsum("vij,kvj->kvi", maps, model.expressions.astype(np.float64))
    face = find_face_parts(model.vertices, model.quads, model.parts, model.regions, model.expressions)
    return _complete(face, model.quads, model.vertices, neutral.astype(np.float64), deltas).astype(np.float32)


def local_maps(template: np.ndarray, neutral: np.ndarray, surface: np.ndarray) -> np.ndarray:
    """How the shape round each vertex changes from the template to another head.

    A least-squares linear map of the weighted neighbourhood, pulled towards the even scaling of the whole head where
    the neighbourhood does not say (across the surface).

    Args:
        template: [V, 3] metres.
        neutral: [V, 3] metres.
        surface: [S] vertices to sample.

    Returns:
        [V, 3, 3] float64.
    """
    cells = np.floor(np.abs(template[surface]) / SAMPLE_CELL).astype(np.int64)
    cells = np.concatenate([np.sign(np.round(template[surface, :1], 6)), cells], axis=1)
    _, first = np.unique(cells, axis=0, return_index=True)
    samples = surface[np.sort(first)]
    before, after = template[samples].astype(np.float64), neutral[samples].astype(np.float64)
    squared = ((template[:, None, :].astype(np.float32) - before[None].astype(np.float32)) ** 2).sum(axis=2)
    nearest = squared.min(axis=1, keepdims=True)
    weights = np.exp(-(squared - nearest) / (2 * REACH**2)).astype(np.float64)
    weights /= weights.sum(axis=1, keepdims=True)

    mean_before, mean_after = weights @ before, weights @ after
    spread = (weights @ (before[:, :, None] * before[:, None, :]).reshape(-1, 9)).reshape(-1, 3, 3)
    spread -= mean_before[:, :, None] * mean_before[:, None, :]
    cross = (weights @ (after[:, :, None] * before[:, None, :]).reshape(-1, 9)).reshape(-1, 3, 3)
    cross -= mean_after[:, :, None] * mean_before[:, None, :]
    centred = before - before.mean(axis=0)
    scale = float(((after - after.mean(axis=0)) * centred).sum() / (centred**2).sum())
    pull = STIFFNESS * REACH**2 * np.eye(3)
    return (cross + scale * pull) @ np.linalg.inv(spread + pull)


def _symmetric(units: np.ndarray, mirror: np.ndarray) -> np.ndarray:
    """Make Left and Right mirror images and everything else its own."""
    swap = {"Left": "Right", "Right": "Left"}
    opposite = []
    for name in ARKIT_NAMES:
        side = next((side for side in SIDES if name.endswith(side)), None)
        opposite.append(INDEX[name.removesuffix(side) + swap[side]] if side else INDEX[name])
    return (units + units[opposite][:, mirror] * [-1.0, 1.0, 1.0]) / 2


def _complete(
    face: FaceParts, quads: np.ndarray, template: np.ndarray, neutral: np.ndarray, deltas: np.ndarray
) -> np.ndarray:
    """The displacements [52, V, 3] of the head `neutral` [V, 3], with all that follows a rule of its own put right."""
    deltas = deltas.copy()
    for name in ARKIT_NAMES:
        if name.startswith(ONE_EYE):
            away = template[:, 0] * (-1.0 if name.endswith("Left") else 1.0)
            deltas[INDEX[name]] *= np.clip(-away / MIDLINE_FADE, 0, 1)[:, None]
    folds = FoldSmoother(quads, neutral)
    for name in ARKIT_NAMES:
        if name not in MADE_HERE:
            folds.smooth(deltas[INDEX[name]])
    for eye, profile, side in zip(face.eyes, face.profiles, SIDES, strict=True):
        for name in ARKIT_NAMES:
            if name not in MADE_HERE:
                _hold_lids(eye, neutral, deltas[INDEX[name]])
                folds.smooth(deltas[INDEX[name]])
        for direction in LOOK_DEGREES:
            _turn_ball(eye, neutral, deltas[INDEX[f"eyeLook{direction}{side}"]], direction)
        deltas[INDEX[f"eyeBlink{side}"]] = eyelids.closed_eye(eye, neutral, profile) - neutral
    for name in ARKIT_NAMES:
        if name.startswith("mouth") and name != "mouthClose":
            shown = neutral + deltas[INDEX[name]]
            deltas[INDEX[name]] += lips.seal(face.lips, shown, part_only=True) - shown
    both = deltas[INDEX["jawOpen"]] + deltas[INDEX["mouthClose"]]
    folds.smooth(both)
    closed = lips.bring_together(face.lips, neutral, neutral + both)
    deltas[INDEX["mouthClose"]] = closed - neutral - deltas[INDEX["jawOpen"]]
    return deltas


def _hold_lids(eye: Eye, neutral: np.ndarray, delta: np.ndarray) -> None:
    """Keep an expression from shutting the eye, its lids out of the eyeball and the lashes on the lids, in place."""
    near = np.concatenate([eye.outward.ravel(), eye.lashes])
    if not delta[near].any():
        return
    place, opening = eyelids.lid_gap(eye, neutral)
    _, left_open = eyelids.lid_gap(eye, neutral + delta)
    middle = (place > OPENING_PLACES[0]) & (place < OPENING_PLACES[1])
    narrowed = float(((opening - left_open)[middle] / np.maximum(opening[middle], 1e-6)).max())
    if narrowed > NARROWEST:
        delta *= NARROWEST / narrowed
    eyelids.keep_lids_outside(eye, neutral, delta)
    delta[eye.lashes] = delta[eye.outward[eye.lash_spokes, eyelids.MARGIN_RING + 1]]


def _turn_ball(eye: Eye, neutral: np.ndarray, delta: np.ndarray, direction: str) -> None:
    """Replace what an expression does to the eyeball by a turn about its middle, in place."""
    degrees = LOOK_DEGREES[direction]
    # About +Y the gaze goes to the subject's left, about +X down.
    axis = {"Down": [1, 0, 0], "Up": [-1, 0, 0], "Out": [0, eye.side, 0], "In": [0, -eye.side, 0]}[direction]
    turn = Rotation.from_rotvec(np.radians(degrees) * np.array(axis, dtype=np.float64))
    rows = slice(*eye.ball)
    centre, _ = eyelids.ball_centre(eye, neutral)
    delta[rows] = turn.apply(neutral[rows] - centre) + centre - neutral[rows]
