"""DAViD's interface over a toy model that reads normals out of the colours of the photo."""

from pathlib import Path

import numpy as np
import pytest
from portrait_head.errors import PortraitHeadError
from portrait_head.models.face_normals import FaceNormals

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
