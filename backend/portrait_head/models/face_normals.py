"""Surface normals of a face from one photo: the ONNX models of DAViD.

Saleh et al., "DAViD: Data-efficient and Accurate Vision Models from Synthetic Data" (ICCV 2025), trained on rendered
people. What the model card and the runtime beside it say: the input is the photo padded to a square with its own edge,
at 512 x 512, BGR, 0 to 1; the output is [1, 3, 512, 512], x, y and z of the normal in camera space. Where those three
point is an entry of the pack, `normal_axes`: the published ground truth, drawn with red, green and blue for x, y and z,
shows x to the right of the image, y up and z towards the viewer (a surface facing up is green, one facing the camera
blue), which is this project's camera space.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from portrait_head.errors import PortraitHeadError
from portrait_head.models.normal_axes import RIGHT_UP_TOWARDS, axes_matrix
from portrait_head.models.onnx_sessions import CUDA, providers_for, session_errors
from portrait_head.models.packages import missing

SIDE = 512  # pixels
TOO_LARGE = 3  # times SIDE, above which the picture is halved first so that nothing is skipped in sampling
CHANNELS = 3


class FaceNormals:
    """A predictor of normals, loaded once.

    Attributes:
        pack: the name of the folder that it came from.
        device: "cuda" or "cpu", where it really runs.
    """

    def __init__(self, folder: Path, device: str = "cpu", axes: Sequence[str] = RIGHT_UP_TOWARDS) -> None:
        """Load the one ONNX file in `folder` (the pack `face-normals`, or the large model of the same family).

        Args:
            device: `cpu` or `cuda`.
            axes: where the model's three numbers point; see `normal_axes`.

        Raises:
            PortraitHeadError: `missing_package`; `pack_broken` or `wrong_architecture` for the file.
        """
        files = sorted(folder.glob("*.onnx"))
        if len(files) != 1:
            raise _broken(folder, f"it holds {len(files)} ONNX files instead of one")
        providers = providers_for(device)
        self.pack = folder.name
        self.device = "cuda" if CUDA in providers else "cpu"
        self._session = _open(files[0], providers)
        self._to_camera = axes_matrix(axes)

    def predict(self, image: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Normals of the face in a photo.

        Args:
            image: [H, W, 3] uint8 sRGB, best with the head filling most of it.
            mask: [H, W] bool, where the face is.

        Returns:
            [H, W, 3] float32, camera space (x right, y up, z to the viewer), unit inside the mask, zero outside.
        """
        height, width = image.shape[:2]
        if mask.shape != (height, width):
            raise ValueError(f"the mask is {list(mask.shape)}, the image {[height, width]}")
        before, after = _padding(height, width)
        square = cv2.copyMakeBorder(image, before[0], after[0], before[1], after[1], cv2.BORDER_REPLICATE)
        (found,) = self._session.run(None, {self._session.get_inputs()[0].name: _as_input(square)})
        side = square.shape[0]
        normals = cv2.resize(found[0].transpose(1, 2, 0), (side, side), interpolation=cv2.INTER_CUBIC)
        normals = normals[before[0] : before[0] + height, before[1] : before[1] + width] @ self._to_camera.T
        length = np.linalg.norm(normals, axis=-1, keepdims=True)
        inside = mask[..., None] & (length > 0)
        return np.where(inside, normals / np.where(length > 0, length, 1.0), 0.0).astype(np.float32)


def _as_input(square: np.ndarray) -> np.ndarray:
    """[S, S, 3] uint8 RGB to [1, 3, 512, 512] float32 BGR, 0 to 1."""
    while square.shape[0] > TOO_LARGE * SIDE:
        square = cv2.pyrDown(square)
    small = cv2.resize(square.astype(np.float32) / 255.0, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(small[..., ::-1].transpose(2, 0, 1)[None])


def _padding(height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Pixels (rows, columns) to add before and after, to make a picture square about its middle."""
    side = max(height, width)
    before = (side - height) // 2, (side - width) // 2
    return before, (side - height - before[0], side - width - before[1])


def _open(path: Path, providers: list[str]) -> Any:
    try:
        import onnxruntime
    except ImportError as error:
        raise missing("onnxruntime", error) from error
    try:
        session = onnxruntime.InferenceSession(str(path), providers=providers)
    except session_errors() as error:
        raise _broken(path.parent, f"{path.name} is not a whole ONNX model") from error
    inputs, outputs = session.get_inputs(), session.get_outputs()
    if len(inputs) != 1 or list(inputs[0].shape[1:]) != [CHANNELS, SIDE, SIDE] or len(outputs) != 1:
        raise _wrong(path, f"takes {[list(item.shape) for item in inputs]} and gives {len(outputs)} outputs")
    channels = outputs[0].shape[1] if len(outputs[0].shape) == 4 else 0
    if channels != CHANNELS and isinstance(channels, int):  # a name or None is a size that the file leaves open
        raise _wrong(path, f"gives {list(outputs[0].shape)}")
    return session


def _wrong(path: Path, what: str) -> PortraitHeadError:
    return PortraitHeadError(
        "wrong_architecture",
        f"{path.name} {what}; one picture [1, 3, {SIDE}, {SIDE}] in and one normal map out are needed.",
        "Use the pack face-normals: portrait-head models download face-normals",
    )


def _broken(folder: Path, what: str) -> PortraitHeadError:
    return PortraitHeadError(
        "pack_broken",
        f"The pack {folder.name} cannot be used: {what}.",
        "Get it again with: portrait-head models download face-normals",
    )
