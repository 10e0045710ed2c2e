import numpy as np
import pytest
from portrait_head.geometry.deformation_transfer import TransferConfig, transfer
from portrait_head.geometry.nearest import SurfaceIndex
from portrait_head.geometry.surface import vertex_normals
from portrait_head.head_model import load_head_model
from portrait_head.head_model.arkit import ARKIT_NAMES
from portrait_head.head_model.onto_surface import shown_skin
from scipy.spatial.transform import Rotation

from tests.backend.geometry.sculpts import meshed_anew

Surface = tuple[np.ndarray, np.ndarray]
KEYS = ("jawOpen", "mouthSmileLeft", "browInnerUp", "mouthPucker", "cheekPuff", "eyeBlinkLeft")


@pytest.fixture(scope="module")
def head() -> Surface:
    model = load_head_model()
    return model.vertices.astype(np.float64), shown_skin(model)


@pytest.fixture(scope="module")
def sculpt(head: Surface) -> Surface:
    """The head's own surface with other triangles."""
    return meshed_anew(*head, 30000)


@pytest.fixture(scope="module")
def deltas() -> np.ndarray:
    return load_head_model().expressions[[ARKIT_NAMES.index(name) for name in KEYS]]


@pytest.fixture(scope="module")
def carried(head: Surface, sculpt: Surface, deltas) -> np.ndarray:
    return transfer(*head, deltas, *sculpt)


@pytest.fixture(scope="module")
def expected(head: Surface, sculpt: Surface, deltas) -> np.ndarray:
    """Where the head's own keys take the points of the sculpt: [K, N, 3]."""
    foot = SurfaceIndex(*head).nearest_facing(sculpt[0], vertex_normals(*sculpt), 0.01)
    return np.stack([foot.interpolate(delta, head[1]) for delta in deltas])


def test_no_motion_gives_no_motion(head: Surface, sculpt: Surface):
    assert not transfer(*head, np.zeros((2, len(head[0]), 3)), *sculpt).any()


def test_a_rigid_motion_is_carried_as_it_is(head: Surface, sculpt: Surface):
    turn = Rotation.from_euler("xyz", [12, -20, 8], degrees=True)
    # The sculpt is a little off the head, so that turning about the foot is not enough.
    target = sculpt[0] + 0.002 * vertex_normals(*sculpt)
    delta = turn.apply(head[0]) + [0.01, 0.02, -0.03] - head[0]
    everything = TransferConfig(distance=(0.1, 0.2))
    found = transfer(*head, delta[None], target, sculpt[1], config=everything)[0]
    # Matrices are kept in single precision: a micrometre on a way of centimetres.
    np.testing.assert_allclose(found, turn.apply(target) + [0.01, 0.02, -0.03] - target, atol=2e-6)


def test_a_stretch_is_carried_as_it_is(head: Surface, sculpt: Surface):
    stretch = np.array([1.1, 0.95, 1.02])
    found = transfer(*head, (head[0] * (stretch - 1))[None], *sculpt)[0]
    np.testing.assert_allclose(found, sculpt[0] * (stretch - 1), atol=5e-4)  # on a way of 15 mm


@pytest.mark.parametrize("name", KEYS)
def test_on_its_own_surface_a_head_moves_as_before(carried, expected, name):
    key = KEYS.index(name)
    moving = np.linalg.norm(expected[key], axis=1) > 5e-5
    off = np.linalg.norm(carried[key] - expected[key], axis=1)[moving]
    way = np.linalg.norm(expected[key], axis=1)[moving]
    # Lids fold away under the brow as they open: their triangles are turned by half a turn and more.
    relative, most = (0.2, 0.0006) if name.startswith("eyeBlink") else (0.1, 0.00015)
    assert off.mean() < most
    assert np.sqrt((off**2).sum() / (way**2).sum()) < relative


def test_an_open_jaw_opens_the_lips(sculpt: Surface, carried, head: Surface):
    model = load_head_model()
    index = SurfaceIndex(*head)
    foot = index.nearest(sculpt[0])
    corner = head[1][foot.triangle, foot.weights.argmax(axis=1)]
    middle = np.abs(sculpt[0][:, 0]) < 0.006
    inner = np.isin(corner, model.regions["mouth_loop"]) | np.isin(corner, model.regions["lips"])
    upper = middle & inner & np.isin(corner, model.regions["lips_upper"])
    lower = middle & inner & np.isin(corner, model.regions["lips_lower"])
    opened = carried[KEYS.index("jawOpen")]
    gap = (sculpt[0] + opened)[upper, 1].min() - (sculpt[0] + opened)[lower, 1].max()
    assert gap > 0.015


def test_hair_and_what_is_far_stay(head: Surface, sculpt: Surface, deltas):
    assert not transfer(*head, deltas, sculpt[0] + [0.0, 0.5, 0.0], sculpt[1]).any()
    follows = np.ones(len(sculpt[0]))
    hair = sculpt[0][:, 1] > 0.05
    follows[hair] = 0.0
    assert not transfer(*head, deltas, *sculpt, follows)[:, hair].any()


def test_keys_are_carried_one_by_one(head: Surface, sculpt: Surface, deltas, carried):
    alone = transfer(*head, deltas[[1]], *sculpt)
    away = np.linalg.norm(carried[1] - alone[0], axis=1)
    # Which triangles take part depends on all keys together; at the edge of the face that is a few micrometres.
    assert away.max() < 1e-4


def test_a_still_key_stays_still_beside_others(head: Surface, sculpt: Surface, deltas):
    both = np.concatenate([deltas[:1], np.zeros_like(deltas[:1])])
    np.testing.assert_allclose(transfer(*head, both, *sculpt)[1], 0, atol=1e-12)
