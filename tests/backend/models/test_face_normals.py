"""DAViD's interface over a toy model that reads normals out of the colours of the photo."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from portrait_head.diffusion.reference_maps import ReferencePhoto
from portrait_head.diffusion.references import predict_references
from portrait_head.errors import PortraitHeadError
from portrait_head.models.catalogue import load_catalogue
from portrait_head.models.face_normals import FaceNormals
from portrait_head.models.normal_axes import RIGHT_UP_TOWARDS, are_axes, axes_matrix, check_axes

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def write_model(folder: Path, side: int = 512, channels: int = 3) -> Path:
    """BGR 0 to 1 in, (red, green, blue) * 2 - 1 as x, y, z out: the inverse of how normals are drawn."""
    folder.mkdir(parents=True, exist_ok=True)
    order = np.zeros((channels, 3, 1, 1), np.float32)
    order[[0, 1, 2][:channels], [2, 1, 0][:channels]] = 2.0
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Conv", ["image", "order", "shift"], ["normals"])],
        "toy",
        [onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, 3, side, side])],
        [onnx.helper.make_tensor_value_info("normals", onnx.TensorProto.FLOAT, [1, channels, side, side])],
        [
            onnx.numpy_helper.from_array(order, "order"),
            onnx.numpy_helper.from_array(-np.ones(channels, np.float32), "shift"),
        ],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, folder / "normal-model-vitb16_384.onnx")
    return folder


def write_sphere(folder: Path, axes: tuple[str, ...] = RIGHT_UP_TOWARDS, radius: float = 200.0) -> Path:
    """A model that sees one ball, `radius` of 512 pixels wide, in every photo, and names its normals in these axes."""
    folder.mkdir(parents=True, exist_ok=True)
    seen = (sphere(512, 512, radius)[0] @ axes_matrix(axes)).astype(np.float32)
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["ball"], ["normals"])],
        "toy",
        [onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, 3, 512, 512])],
        [onnx.helper.make_tensor_value_info("normals", onnx.TensorProto.FLOAT, [1, 3, 512, 512])],
        [onnx.numpy_helper.from_array(np.ascontiguousarray(seen.transpose(2, 0, 1)[None]), "ball")],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, folder / "normal-model-vitb16_384.onnx")
    return folder


def sphere(height: int, width: int, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Normals [H, W, 3] of a ball in the middle of the picture, x right, y up, z to the viewer, and its mask."""
    y, x = np.mgrid[:height, :width] + 0.5
    x, y = (x - width / 2) / radius, (height / 2 - y) / radius
    inside = x**2 + y**2 < 1
    z = np.sqrt(np.maximum(1 - x**2 - y**2, 0))
    return np.where(inside[..., None], np.stack([x, y, z], axis=-1), 0.0), inside


@pytest.fixture(scope="module")
def predictor(tmp_path_factory) -> FaceNormals:
    return FaceNormals(write_model(tmp_path_factory.mktemp("packs") / "face-normals"))


@pytest.mark.parametrize(("height", "width"), [(512, 512), (300, 420), (421, 300), (1700, 1600)])
def test_a_sphere_comes_back_in_camera_space_from_a_photo_of_any_shape(predictor, height, width):
    wanted, ball = sphere(height, width, 0.4 * min(height, width))
    photo = np.round((wanted + 1) / 2 * 255).astype(np.uint8)
    well_inside = sphere(height, width, 0.36 * min(height, width))[1]

    found = predictor.predict(photo, ball)

    assert found.shape == (height, width, 3) and found.dtype == np.float32
    cosines = (found * wanted).sum(axis=-1)[well_inside]
    assert np.degrees(np.arccos(np.clip(cosines, -1, 1))).max() < 1.5  # 8 bits, and resampling to 512 and back
    assert found[height // 4, width // 2, 1] > 0.3  # what faces up has y up


def test_normals_are_unit_inside_the_face_and_zero_outside(predictor):
    wanted, ball = sphere(256, 256, 100)
    photo = np.round((wanted + 1) / 2 * 255).astype(np.uint8)
    mask = ball & (np.arange(256) < 128)

    found = predictor.predict(photo, mask)

    np.testing.assert_allclose(np.linalg.norm(found[mask], axis=-1), 1, atol=1e-5)
    assert not found[~mask].any()


CONVENTIONS = (
    ("right", "up", "towards"),
    ("left", "up", "towards"),
    ("right", "down", "towards"),
    ("right", "down", "away"),
    ("left", "down", "away"),
    ("up", "towards", "right"),
)


@pytest.mark.parametrize("axes", CONVENTIONS, ids=" ".join)
def test_a_ball_comes_back_the_same_whatever_axes_the_model_speaks_in(tmp_path, axes):
    wanted, ball = sphere(512, 512, 200)
    found = FaceNormals(write_sphere(tmp_path / "face-normals", axes), axes=axes).predict(
        np.zeros((512, 512, 3), np.uint8), ball
    )
    np.testing.assert_allclose(found[ball], wanted[ball], atol=1e-5)


def test_the_catalogue_names_the_axes_of_what_draws_normals():
    assert load_catalogue().pack("face-normals").normal_axes == RIGHT_UP_TOWARDS
    for wrong in ((), ("right", "up"), ("right", "left", "up"), ("right", "up", "forward"), ("right", "up", "up")):
        assert not are_axes(wrong)
        with pytest.raises(ValueError, match="one along each axis"):
            axes_matrix(wrong)


class TestCheck:
    """The fitted head says whether the named axes are true: a face turned a little, seen from 25 degrees off."""

    @staticmethod
    def face() -> tuple[np.ndarray, np.ndarray]:
        normals, ball = sphere(120, 120, 60)
        turn = np.radians(25)
        rotation = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
        lower = np.zeros((120, 120))
        lower[20:105, 25:95] = 1
        return normals @ rotation.T * ball[..., None], lower * ball

    @pytest.mark.parametrize("signs", list(itertools.product((1, -1), repeat=3)))
    def test_every_flip_is_found_and_turned(self, signs):
        fitted, face = self.face()
        noise = np.random.default_rng(0).normal(0, 0.3, fitted.shape)
        told = (fitted + noise) * np.array(signs) * fitted.any(axis=-1, keepdims=True)
        told /= np.maximum(np.linalg.norm(told, axis=-1, keepdims=True), 1e-9)
        check = check_axes(told, fitted, face)
        assert check.signs.tolist() == list(signs)
        assert len(check.flipped) == signs.count(-1)
        assert check.agrees and check.cosine is not None and check.cosine > 0.8

    def test_exchanged_axes_and_noise_are_not_taken_for_the_face(self):
        fitted, face = self.face()
        noise = np.random.default_rng(0).normal(size=fitted.shape)
        for told in (fitted[..., [1, 2, 0]], noise / np.linalg.norm(noise, axis=-1, keepdims=True)):
            assert not check_axes(told, fitted, face).agrees

    def test_without_a_face_to_compare_with_nothing_is_said(self):
        fitted, face = self.face()
        check = check_axes(fitted, fitted, np.zeros_like(face))
        assert check.agrees and check.cosine is None and check.flipped == ()


@pytest.mark.parametrize("axes", CONVENTIONS[:5], ids=" ".join)
def test_references_are_turned_and_the_user_is_told(tmp_path, axes):
    """The pack is taken to speak right, up, towards; the fitted face knows better."""
    fitted, ball = sphere(512, 512, 200)
    photo = ReferencePhoto(
        np.zeros((512, 512, 3), np.uint8), ball.astype(np.float32), np.zeros(512), "", fitted, ball.astype(np.float32)
    )
    maps = predict_references(photo, FaceNormals(write_sphere(tmp_path / "face-normals", axes)))
    np.testing.assert_allclose(maps.normals[ball], fitted[ball], atol=1e-5)
    assert len(maps.notes) == sum(one != other for one, other in zip(axes, RIGHT_UP_TOWARDS, strict=True))
    assert all("face-normals point" in note and "turned" in note for note in maps.notes)


def test_references_of_something_else_are_left_out_and_the_user_is_told(tmp_path):
    fitted, ball = sphere(512, 512, 200)
    whole = ball.astype(np.float32)
    photo = ReferencePhoto(np.zeros((512, 512, 3), np.uint8), whole, np.zeros(512), "", fitted, whole)
    maps = predict_references(photo, FaceNormals(write_sphere(tmp_path / "face-normals", ("up", "towards", "right"))))
    assert not maps.mask.any() and not maps.normals.any()
    assert len(maps.notes) == 1 and "left out" in maps.notes[0] and "--references drawn" in maps.notes[0]


def test_a_mask_of_another_size_is_refused(predictor):
    with pytest.raises(ValueError, match=r"\[10, 10\]"):
        predictor.predict(np.zeros((20, 20, 3), np.uint8), np.ones((10, 10), bool))


@pytest.mark.parametrize(
    ("harm", "kind"),
    [
        (lambda folder: write_model(folder, side=384), "wrong_architecture"),
        (lambda folder: write_model(folder, channels=1), "wrong_architecture"),
        (lambda folder: (folder / "another.onnx").write_bytes(b""), "pack_broken"),
        (lambda folder: (folder / "normal-model-vitb16_384.onnx").unlink(), "pack_broken"),
        (lambda folder: (folder / "normal-model-vitb16_384.onnx").write_bytes(b"half"), "pack_broken"),
    ],
)
def test_a_pack_that_will_not_do_is_named_with_the_command_that_helps(tmp_path, harm, kind):
    folder = write_model(tmp_path / "face-normals")
    harm(folder)

    with pytest.raises(PortraitHeadError, match="models download face-normals") as failure:
        FaceNormals(folder)

    assert failure.value.kind == kind
