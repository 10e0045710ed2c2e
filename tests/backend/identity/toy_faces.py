"""Faces that a toy detector can see, and the ONNX models that see them.

A toy face is a square with a red spot of one detector cell at its middle; how blue the spot is says how large the face
is. Around the spot anything may be painted: that is what tells people apart.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

CANVAS = 640  # the larger of the sizes at which InsightFace looks
LARGEST = 20.0  # half a face's side for the bluest spot, in cells of STRIDE
STRIDE = 8
# Where InsightFace's template has eyes, nose and corners of the mouth, relative to half the face.
LANDMARKS = np.array([[-0.4, -0.3], [0.4, -0.3], [0.0, 0.05], [-0.33, 0.45], [0.33, 0.45]], np.float32)


def draw_face(canvas: np.ndarray, x: int, y: int, half: int, person: int) -> None:
    """Paint the toy face of `person` around (x, y), multiples of STRIDE; `half` is half its side in pixels."""
    assert x % STRIDE == y % STRIDE == 0
    generator = np.random.default_rng(person)
    blocks = generator.integers(60, 190, (8, 8, 1), dtype=np.uint8).repeat(3, axis=2)  # grey: no red spots by chance
    rows, columns = (
        (np.arange(2 * half) * 8 // (2 * half)).astype(int),
        (np.arange(2 * half) * 8 // (2 * half)).astype(int),
    )
    canvas[y - half : y + half, x - half : x + half] = blocks[rows][:, columns]
    blue = round(half / STRIDE / LARGEST * 255)
    canvas[y : y + STRIDE, x : x + STRIDE] = (255, 0, blue)


def photo(*faces: tuple[int, int, int, int]) -> np.ndarray:
    """A grey picture with faces at (x, y, half, person)."""
    canvas = np.full((CANVAS, CANVAS, 3), 110, np.uint8)
    for x, y, half, person in faces:
        draw_face(canvas, x, y, half, person)
    return canvas


def write_pack(folder: Path, size: int = 512) -> Path:
    """A folder that InsightFace takes for a pack: a detector of SCRFD's form and a recogniser of ArcFace's."""
    folder.mkdir(parents=True)
    onnx.save(detector(), folder / "det_10g.onnx")
    onnx.save(recogniser(size), folder / "w600k_r50.onnx")
    return folder


def recogniser(size: int) -> onnx.ModelProto:
    """[1, 3, 112, 112] to [1, size]: means of 7 x 7 blocks through a fixed random matrix."""
    weights = np.random.default_rng(0).normal(size=(3 * 49, size)).astype(np.float32)
    nodes = [
        helper.make_node("AveragePool", ["image"], ["pooled"], kernel_shape=[16, 16], strides=[16, 16]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["vector"]),
    ]
    return _model(nodes, {"weights": weights}, ["N", 3, 112, 112], [("vector", ["N", size])])


def detector() -> onnx.ModelProto:
    """SCRFD's nine outputs (scores, boxes, landmarks at strides 8, 16 and 32, two anchors a cell) from red spots."""
    constants = {
        "spot": np.array([10, -10, 0], np.float32).reshape(1, 3, 1, 1),
        "all": np.array(-19, np.float32),
        "blue": np.array([0, 0, LARGEST / 2], np.float32).reshape(1, 3, 1, 1),
        "offset": np.array(LARGEST / 2, np.float32),
        "sides": np.ones((1, 4), np.float32),
        "points": LANDMARKS.reshape(1, 10),
        "none": np.array(0, np.float32),
        "column": np.array([-1, 1], np.int64),
        "box": np.array([-1, 4], np.int64),
        "five": np.array([-1, 10], np.int64),
    }
    nodes, kinds = [], {"score": [], "box": [], "points": []}
    for stride in (8, 16, 32):
        pooled, score, size = f"pooled{stride}", f"score{stride}", f"size{stride}"
        nodes += [
            helper.make_node("AveragePool", ["image"], [pooled], kernel_shape=[stride] * 2, strides=[stride] * 2),
            # 1 where a cell is red (1) and without green (-1) all over, below 0 where a twentieth of it is not
            helper.make_node("Conv", [pooled, "spot"], [f"{score}red"]),
            helper.make_node("Add", [f"{score}red", "all"], [f"{score}map"]),
            helper.make_node("Reshape", [f"{score}map", "column"], [f"{score}seen"]),
            helper.make_node("Conv", [pooled, "blue"], [f"{size}map"]),
            helper.make_node("Reshape", [f"{size}map", "column"], [f"{size}seen"]),
            helper.make_node("Add", [f"{size}seen", "offset"], [size]),
        ]
        # Only the finest stride sees faces.
        nodes.append(
            helper.make_node("Identity", [f"{score}seen"], [score])
            if stride == STRIDE
            else helper.make_node("Mul", [f"{score}seen", "none"], [score])
        )
        for kind, shape, factor in (("score", "column", None), ("box", "box", "sides"), ("points", "five", "points")):
            one = score if factor is None else f"{kind}one{stride}"
            if factor is not None:
                nodes.append(helper.make_node("Mul", [size, factor], [one]))
            nodes.append(helper.make_node("Concat", [one, one], [f"{kind}two{stride}"], axis=1))
            nodes.append(helper.make_node("Reshape", [f"{kind}two{stride}", shape], [f"{kind}_{stride}"]))
            kinds[kind].append((f"{kind}_{stride}", ["cells", {"score": 1, "box": 4, "points": 10}[kind]]))
    return _model(nodes, constants, [1, 3, "height", "width"], [*kinds["score"], *kinds["box"], *kinds["points"]])


def _model(nodes, constants: dict[str, np.ndarray], shape: list, outputs: list[tuple[str, list]]) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, form) for name, form in outputs],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return model
