from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from portrait_head.head_model import HeadModel, load_identity_prior
from portrait_head.head_model.arkit import ARKIT_NAMES
from portrait_head.head_model.expressions import INDEX, LOOK_DEGREES, FaceParts, carry_expressions, local_maps
from portrait_head.head_model.eyelids import SEEN_RING, ball_centre, lid_gap
from portrait_head.head_model.folds import FoldSmoother
from portrait_head.head_model.lips import lip_separation
from portrait_head.head_model.rest import settle

Invent = Callable[[int], np.ndarray]
SEEDS = range(4)
SIDES = ("Left", "Right")
# A fold of less is a sliver at the corner of an eye that no picture shows.
VISIBLE_QUAD = 0.5e-6  # square metres


@pytest.fixture(scope="module", params=["template", *SEEDS], ids=str)
def person(request: pytest.FixtureRequest, model: HeadModel, invent: Invent) -> tuple[np.ndarray, np.ndarray]:
    """A head at rest and its expressions."""
    neutral = model.vertices.astype(np.float64) if request.param == "template" else invent(request.param)
    return neutral, carry_expressions(model, neutral).astype(np.float64)


def test_all_52_move_something_and_are_finite(person: tuple[np.ndarray, np.ndarray], model: HeadModel):
    _, deltas = person
    assert deltas.shape == (52, len(model.vertices), 3)
    assert np.isfinite(deltas).all()
    assert (np.abs(deltas).max(axis=(1, 2)) > 0.001).all()
    assert np.abs(deltas).max() < 0.06


def test_a_blink_closes_the_lids_and_they_do_not_cross(person: tuple[np.ndarray, np.ndarray], face: FaceParts):
    neutral, deltas = person
    for eye, side in zip(face.eyes, SIDES, strict=True):
        _, opening = lid_gap(eye, neutral)
        assert opening.max() > 0.004, "this head's eyes are open at rest"
        _, gap = lid_gap(eye, neutral + deltas[INDEX[f"eyeBlink{side}"]])
        assert gap.min() > -0.0002 and gap.max() < 0.0003


def test_a_blinking_lid_slides_over_the_eyeball(person: tuple[np.ndarray, np.ndarray], face: FaceParts):
    neutral, deltas = person
    for eye, side in zip(face.eyes, SIDES, strict=True):
        centre, radius = ball_centre(eye, neutral)
        lids = eye.outward[eye.upper, SEEN_RING:8]
        at_rest = np.linalg.norm(neutral[lids] - centre, axis=-1)
        for weight in (0.5, 1.0):
            distance = np.linalg.norm((neutral + weight * deltas[INDEX[f"eyeBlink{side}"]])[lids] - centre, axis=-1)
            # At the corners the lids leave the ball's surface at rest already.
            assert (distance > np.minimum(at_rest, radius - 0.0003) - 1e-6).all()


def test_lashes_ride_on_the_closing_lid(person: tuple[np.ndarray, np.ndarray], face: FaceParts):
    neutral, deltas = person
    for eye, side in zip(face.eyes, SIDES, strict=True):
        closed = neutral + deltas[INDEX[f"eyeBlink{side}"]]
        for lid in (eye.upper, eye.lower):
            own = lid[eye.lash_spokes]
            lashes, skin = eye.lashes[own], eye.outward[eye.lash_spokes[own], 3]
            before = np.linalg.norm(neutral[lashes] - neutral[skin], axis=1)
            after = np.linalg.norm(closed[lashes] - closed[skin], axis=1)
            np.testing.assert_allclose(after, before, atol=0.0015)


def test_mouth_close_closes_the_lips_of_an_open_jaw(person: tuple[np.ndarray, np.ndarray], face: FaceParts):
    neutral, deltas = person
    opened = neutral + deltas[INDEX["jawOpen"]]
    lower, upper = face.lips.outward[face.lips.lower, 2], face.lips.outward[face.lips.upper, 2]
    assert (opened[upper].mean(axis=0) - opened[lower].mean(axis=0))[1] > 0.015, "the jaw opens these lips"
    _, gap = lip_separation(face.lips, opened + deltas[INDEX["mouthClose"]])
    assert gap.min() > -0.0003 and gap.max() < 0.0005


def test_an_open_jaw_does_not_tear_the_lips(person: tuple[np.ndarray, np.ndarray], face: FaceParts):
    neutral, deltas = person
    line = face.lips.outward[:, 1]
    opened = (neutral + deltas[INDEX["jawOpen"]])[line]
    step = np.linalg.norm(opened - np.roll(opened, -1, axis=0), axis=1)
    assert step.max() < 0.011, "neighbours round the mouth stay neighbours"


def test_no_lips_cross_in_any_single_expression(person: tuple[np.ndarray, np.ndarray], face: FaceParts):
    neutral, deltas = person
    for name in ARKIT_NAMES:
        if name.startswith("mouth") and name != "mouthClose":
            assert lip_separation(face.lips, neutral + deltas[INDEX[name]])[1].min() > -0.0006, name


def test_no_visible_quad_folds(person: tuple[np.ndarray, np.ndarray], model: HeadModel, face: FaceParts):
    neutral, deltas = person
    folds = FoldSmoother(model.quads, neutral)
    hidden = np.zeros(len(neutral), dtype=bool)
    hidden[slice(*model.part("mouth").vertices)] = True
    for eye in face.eyes:
        hidden[eye.inward.ravel()] = True
    for name in ARKIT_NAMES:
        delta = deltas[INDEX[name]] + (deltas[INDEX["jawOpen"]] if name == "mouthClose" else 0)
        folded = folds.folded(delta)
        corners = (neutral + delta)[model.quads[folded]]
        area = np.linalg.norm(np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1]), axis=1) / 2
        seen = ~hidden[model.quads[folded]].any(axis=1)
        assert not (seen & (area > VISIBLE_QUAD)).any(), name


@pytest.mark.parametrize("name", [name for name in ARKIT_NAMES if name.startswith("eye")])
def test_one_eye_moves_nothing_on_the_other_side(person: tuple[np.ndarray, np.ndarray], model: HeadModel, name: str):
    deltas = (
        carry_expressions(model, model.vertices)[INDEX[name]]
        if name.endswith("Left")
        else model.expressions[INDEX[name]]
    )
    other = model.vertices[:, 0] < 0 if name.endswith("Left") else model.vertices[:, 0] > 0
    assert (deltas[other] == 0).all()


@pytest.fixture(scope="module")
def symmetric(model: HeadModel, invent: Invent) -> np.ndarray:
    """The expressions of a symmetric head."""
    head = invent(11)
    return carry_expressions(model, (head + head[model.mirror] * [-1, 1, 1]) / 2)


@pytest.mark.parametrize("name", [name for name in ARKIT_NAMES if not name.endswith("Right")])
def test_sides_mirror_each_other_on_a_symmetric_head(model: HeadModel, symmetric: np.ndarray, name: str):
    opposite = name.removesuffix("Left") + "Right" if name.endswith("Left") else name
    mirrored = symmetric[INDEX[opposite]][model.mirror] * [-1, 1, 1]
    np.testing.assert_allclose(mirrored, symmetric[INDEX[name]], atol=1e-4)


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("direction", sorted(LOOK_DEGREES))
def test_eyes_turn_as_balls_the_way_their_names_say(
    person: tuple[np.ndarray, np.ndarray], face: FaceParts, direction: str, side: str
):
    neutral, deltas = person
    eye = face.eyes[SIDES.index(side)]
    ball = slice(*eye.ball)
    turned = (neutral + deltas[INDEX[f"eyeLook{direction}{side}"]])[ball]
    centre, _ = ball_centre(eye, neutral)
    np.testing.assert_allclose(
        np.linalg.norm(turned - centre, axis=1), np.linalg.norm(neutral[ball] - centre, axis=1), atol=1e-6
    )
    front = np.argmax(neutral[ball, 2])
    went = turned[front] - neutral[ball][front]
    outward = 1 if side == "Left" else -1
    along = {"Down": -went[1], "Up": went[1], "Out": went[0] * outward, "In": -went[0] * outward}[direction]
    assert along > 0.004


def test_teeth_and_tongue_follow_the_jaw_as_one_piece(person: tuple[np.ndarray, np.ndarray], model: HeadModel):
    neutral, deltas = person
    teeth = slice(*model.part("teeth_lower").vertices)
    jaw = deltas[INDEX["jawOpen"]]
    assert jaw[teeth, 1].mean() < -0.015
    assert np.abs(jaw[slice(*model.part("teeth_upper").vertices)]).max() < 0.002
    assert jaw[slice(*model.part("tongue").vertices), 1].min() < -0.010
    distances = [
        np.linalg.norm(points[:, None] - points[None], axis=2) for points in (neutral[teeth], (neutral + jaw)[teeth])
    ]
    assert np.abs(distances[0] - distances[1]).max() < 0.004


def test_the_tongue_stays_in_but_for_its_own_expression(person: tuple[np.ndarray, np.ndarray], model: HeadModel):
    neutral, deltas = person
    tongue, lips = slice(*model.part("tongue").vertices), model.regions["lips"]
    for name in ARKIT_NAMES:
        shown = neutral + deltas[INDEX[name]]
        ahead = shown[tongue, 2].max() - shown[lips, 2].max()
        assert (ahead > 0.003) if name == "tongueOut" else (ahead < -0.004), name


def test_a_pucker_is_seen(person: tuple[np.ndarray, np.ndarray], face: FaceParts):
    neutral, deltas = person
    corners = face.lips.outward[list(face.lips.corners), 2]
    width = [np.ptp(points[corners, 0]) for points in (neutral, neutral + deltas[INDEX["mouthPucker"]])]
    assert width[1] < 0.8 * width[0]
    middle = face.lips.outward[:, 4][np.abs(face.lips.t(neutral) - 0.5) < 0.1]
    assert deltas[INDEX["mouthPucker"]][middle, 2].mean() > 0.002, "the lips come forward"


def test_expressions_scale_with_the_head(model: HeadModel):
    double = carry_expressions(model, model.vertices * 1.1)
    single = carry_expressions(model, model.vertices)
    for name in ("jawOpen", "mouthSmileLeft", "browInnerUp", "eyeBlinkLeft"):
        np.testing.assert_allclose(double[INDEX[name]], 1.1 * single[INDEX[name]], atol=5e-4, err_msg=name)


def test_local_maps_of_a_turned_and_stretched_head_are_that_turn_and_stretch(model: HeadModel):
    change = np.diag([1.1, 0.9, 1.0]) @ np.array([[0.995, -0.1, 0.0], [0.1, 0.995, 0.0], [0.0, 0.0, 1.0]])
    surface = model.regions["face"]
    maps = local_maps(model.vertices, model.vertices @ change.T, surface)
    np.testing.assert_allclose(
        maps[surface] @ [0, 1, 0], np.broadcast_to(change @ [0, 1, 0], (len(surface), 3)), atol=0.08
    )


def test_carrying_to_the_template_gives_back_the_template_s_expressions(model: HeadModel):
    carried = carry_expressions(model, model.vertices)
    others = [index for index, name in enumerate(ARKIT_NAMES) if not name.startswith("eyeBlink")]
    np.testing.assert_allclose(carried[others], model.expressions[others], atol=5e-4)


def test_the_same_head_gives_the_same_bytes(model: HeadModel, invent: Invent):
    head = invent(1)
    assert carry_expressions(model, head).tobytes() == carry_expressions(model, head).tobytes()


@pytest.mark.parametrize("seed", range(4))
def test_lids_and_lips_of_people_of_the_prior_meet(model: HeadModel, face: FaceParts, seed: int):
    prior = load_identity_prior()
    z = np.random.default_rng(seed).standard_normal(len(prior.modes))
    neutral = settle(model, model.identified(prior.mean + z @ prior.modes)).astype(np.float64)
    deltas = carry_expressions(model, neutral)
    for eye, side in zip(face.eyes, SIDES, strict=True):
        _, gap = lid_gap(eye, neutral + deltas[INDEX[f"eyeBlink{side}"]])
        assert gap.min() > -0.0003 and gap.max() < 0.0003
    for shown in (neutral, neutral + deltas[INDEX["jawOpen"]] + deltas[INDEX["mouthClose"]]):
        _, gap = lip_separation(face.lips, shown)
        assert gap.min() > -0.0003 and gap.max() < 0.0005
