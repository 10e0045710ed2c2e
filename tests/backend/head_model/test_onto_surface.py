import numpy as np
import pytest
from portrait_head.geometry import surface
from portrait_head.geometry.nearest import SurfaceIndex
from portrait_head.geometry.registration import Registered, folded_quads
from portrait_head.head_model import lips, load_head_model
from portrait_head.head_model.expressions import find_face_parts
from portrait_head.head_model.eyelids import lid_gap
from portrait_head.head_model.onto_surface import follow_sculpt, lay_onto, sculpt_trust

from tests.backend.geometry.sculpts import known_field, meshed_anew, skin_triangles, voxel_sculpt


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    """The head model pushed about by up to 4 mm, left and right alike."""
    template = load_head_model().vertices.astype(np.float64)
    return template + known_field(template)


@pytest.fixture(scope="module")
def sculpt(truth) -> tuple[np.ndarray, np.ndarray]:
    """Its skin with triangles of its own, mirror symmetric: one half and its reflection."""
    model = load_head_model()
    triangles = skin_triangles(model)
    half = triangles[(model.vertices[triangles, 0] >= 0).all(axis=1)]
    vertices, faces = meshed_anew(truth, half, 20000)
    vertices[np.abs(vertices[:, 0]) < 5e-4, 0] = 0.0
    return (
        np.concatenate([vertices, vertices * [-1, 1, 1]]),
        np.concatenate([faces, faces[:, ::-1] + len(vertices)]),
    )


@pytest.fixture(scope="module")
def registered(sculpt) -> Registered:
    model = load_head_model()
    return lay_onto(model, model.vertices, _welded(*sculpt), sculpt_trust(model))


def _welded(vertices, triangles):
    unique, inverse = np.unique(vertices.round(9) + 0.0, axis=0, return_inverse=True)
    return unique, inverse[triangles]


def distances(vertices: np.ndarray, truth: np.ndarray, region: str) -> np.ndarray:
    model = load_head_model()
    return SurfaceIndex(truth, skin_triangles(model)).nearest(vertices[model.regions[region]]).distance


@pytest.mark.parametrize(
    ("region", "most"),
    # The face's mean is that of lids and lips, which only go along; nothing hinders the scalp.
    [("face", 0.00012), ("scalp", 0.0001), ("neck", 0.0001), ("nose", 0.0002), ("ear_left", 0.00015)],
)
def test_the_skin_comes_to_lie_on_the_true_surface(registered, truth, region, most):
    before = distances(load_head_model().vertices, truth, region).mean()
    after = distances(registered.vertices, truth, region).mean()
    assert after < most
    assert after < before / 2.5


def test_vertices_go_where_they_belong_and_not_only_onto_the_surface(registered, truth):
    model = load_head_model()
    rows = model.regions["nose"]
    before = np.linalg.norm(truth - model.vertices, axis=1)[rows].mean()
    # What a smooth surface cannot tell is how it slid along itself.
    assert np.linalg.norm(registered.vertices - truth, axis=1)[rows].mean() < 0.45 * before


def test_nothing_folds_and_the_sides_stay_alike(registered):
    model = load_head_model()
    quads = model.quads[: model.part("mouth").faces[1]]
    assert len(folded_quads(model.vertices.astype(float), registered.vertices, quads, 75.0)) == 0
    off = np.linalg.norm(registered.vertices[model.mirror] * [-1, 1, 1] - registered.vertices, axis=1)
    # From within a ridge both sides are equally near, and one is taken: in the middle plane of the large-faced crown.
    assert np.percentile(off, 90) < 5e-5
    assert np.percentile(off, 99) < 3e-4
    assert off.max() < 8e-4


def test_lids_and_lips_keep_the_shape_of_their_gaps(registered):
    model = load_head_model()
    face = find_face_parts(model.vertices, model.quads, model.parts, model.regions, model.expressions)
    for eye in face.eyes:
        _, before = lid_gap(eye, model.vertices.astype(float))
        _, after = lid_gap(eye, registered.vertices)
        # An eye is 8 mm open, and the skin above and below it has moved by millimetres.
        assert np.abs(after - before).max() < 2e-4
    (_, before), (_, after) = (lips.lip_separation(face.lips, head) for head in (model.vertices, registered.vertices))
    assert np.abs(after - before).max() < 2e-4


def test_eyeballs_and_teeth_move_as_they_are(registered):
    model = load_head_model()
    for name in ("eye_left", "eye_right", "teeth_upper"):
        rows = slice(*model.part(name).vertices)
        step = registered.vertices[rows] - model.vertices[rows]
        assert np.ptp(step, axis=0).max() < 1e-7
        assert np.linalg.norm(step[0]) < 0.005


def test_the_neck_keeps_a_clean_rim(registered):
    model = load_head_model()
    step = registered.vertices - model.vertices
    rim = model.regions["rim"]
    edges = model.quads[:, [0, 1, 1, 2, 2, 3, 3, 0]].reshape(-1, 2)
    edges = edges[np.isin(edges, rim).all(axis=1)]
    # Neighbours along the rim move alike: a tenth of a millimetre and a half for edges of a centimetre.
    assert np.linalg.norm(step[edges[:, 0]] - step[edges[:, 1]], axis=1).max() < 0.0006


def test_a_closed_coarse_sculpt_is_met_where_it_can_be_trusted():
    model = load_head_model()
    vertices, triangles, truth = voxel_sculpt()
    trust = sculpt_trust(model)
    found = lay_onto(model, model.vertices, (vertices, triangles), trust)
    for region, most in (("face", 0.00035), ("scalp", 0.0003), ("neck", 0.0003)):
        assert distances(found.vertices, truth, region).mean() < most
    quads = model.quads[: model.part("mouth").faces[1]]
    assert len(folded_quads(model.vertices.astype(float), found.vertices, quads, 75.0)) == 0
    hidden = model.regions["eye_socket_left"]
    assert (found.paired[hidden] == 0).all()
    # Lids do not go onto the eyeball with which the sculpt has grown together.
    face = find_face_parts(model.vertices, model.quads, model.parts, model.regions, model.expressions)
    _, before = lid_gap(face.eyes[0], model.vertices.astype(float))
    _, after = lid_gap(face.eyes[0], found.vertices)
    assert np.abs(after - before).max() < 2e-4


def test_the_scalp_under_hair_waits_for_no_pair():
    model = load_head_model()
    template = model.vertices.astype(float)
    target_vertices = template + [0, 0, 0.002]
    triangles = skin_triangles(model)
    bare = triangles[~np.isin(triangles, model.regions["scalp"]).any(axis=1)]
    found = lay_onto(model, model.vertices, (target_vertices, bare), sculpt_trust(model))
    scalp = model.regions["scalp"]
    step = (found.vertices - template)[scalp]
    # It goes along with the skin around it.
    assert np.abs(step[:, :2]).max() < 0.0006
    assert step[:, 2].min() > 0.001
    assert step[:, 2].max() < 0.0025
    assert (found.vertices - template)[model.regions["nose"], 2].mean() == pytest.approx(0.002, abs=2e-4)


def test_a_sculpt_with_hair_is_parted_and_only_its_skin_is_followed():
    model = load_head_model()
    template = model.vertices.astype(float)
    outward = known_field(template) + template
    scalp = np.zeros(len(template))
    scalp[model.regions["scalp"]] = 1.0
    # Two centimetres of hair all over the scalp, in one surface with the skin, and parted where it rises.
    shaggy = outward + 0.02 * scalp[:, None] * (template / np.linalg.norm(template, axis=1, keepdims=True))
    whole = surface.keep(shaggy, skin_triangles(model), np.ones(len(skin_triangles(model)), bool))
    used = np.unique(skin_triangles(model))
    found = follow_sculpt(model, model.vertices, whole, scalp[used] - 0.1)
    assert len(found.hair.triangles) > 500
    step = np.linalg.norm(found.vertices - template, axis=1)
    assert step[model.regions["scalp"]].max() < 0.006
    high = model.regions["scalp"][template[model.regions["scalp"], 1] > 0.12]
    assert (found.trust[high] == 0).all()
    face = model.regions["face"]
    assert np.isclose(found.trust[face], sculpt_trust(model)[face]).mean() > 0.95
    assert distances(found.vertices, outward, "nose").mean() < 0.0002
