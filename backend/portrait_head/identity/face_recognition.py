"""Identity from InsightFace's packs; the only module that imports InsightFace.

Its `FaceAnalysis` finds faces with SCRFD, turns each upright by its five landmarks and runs an ArcFace-style network on
the 112 pixel crop. A pack is a folder with one model of each kind, which InsightFace tells apart by their shapes.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from portrait_head.errors import PortraitHeadError
from portrait_head.identity.embedding import IdentityEmbedding, unit
from portrait_head.models.onnx_sessions import CUDA, providers_for, session_errors
from portrait_head.models.packages import missing

DETECTION, RECOGNITION = "detection", "recognition"


@dataclass(frozen=True)
class FaceRecognitionConfig:
    """What counts as a face."""

    least_score: float = 0.5  # of the detector; InsightFace's own default
    full_size: float = 112.0  # pixels; a face as wide as the network's crop counts fully, a smaller one less
    vector_size: int = 512  # what the FaceID adapters take


class FaceRecognition:
    """An `IdentityEncoder` over a folder of InsightFace models."""

    def __init__(
        self,
        folder: Path,
        licence: str,
        commercial_use: bool,
        device: str = "cpu",
        config: FaceRecognitionConfig | None = None,
    ) -> None:
        """Load the models.

        Args:
            folder: the pack; its name becomes the encoder's.
            licence: terms of the pack, for the report. A signed MODEL.LICENSE in the folder, which InsightFace sells,
                takes their place.
            device: `cpu` or `cuda`.

        Raises:
            PortraitHeadError: `missing_package`, or `pack_broken` if the folder holds no detector and recogniser.
        """
        self.name = folder.name
        self._config = config or FaceRecognitionConfig()
        self._licence, self._commercial_use = _terms(folder, licence, commercial_use)
        providers = providers_for(device)
        self.device = "cuda" if CUDA in providers else "cpu"
        self._app = self._load(folder, providers)

    def embed(self, image: np.ndarray, near: np.ndarray | None = None) -> IdentityEmbedding:
        """Encode a face of a picture.

        Args:
            image: [H, W, 3] uint8 sRGB.
            near: [2] pixels (x, y); the face whose middle is nearest is taken, without it the largest.

        Raises:
            PortraitHeadError: `no_face`.
        """
        bgr = np.ascontiguousarray(image[..., ::-1])  # as OpenCV reads files, which InsightFace expects
        detector, recogniser = self._app.det_model, self._app.models[RECOGNITION]
        boxes, landmarks = detector.detect(bgr, metric="max")
        if len(boxes) == 0:
            raise PortraitHeadError(
                "no_face",
                f"{self.name} sees no face in the picture of {image.shape[1]} x {image.shape[0]} pixels.",
                "Use a photo from the front in which the face is large and well lit.",
            )
        sides = boxes[:, 2:4] - boxes[:, :2]
        if near is None:
            taken = int(np.argmax(sides.prod(axis=1)))
        else:
            taken = int(np.argmin(np.linalg.norm(boxes[:, :2] + sides / 2 - near, axis=1)))
        face = _face(boxes[taken, :4], landmarks[taken])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # InsightFace's, about its use of scikit-image
            vector = np.asarray(recogniser.get(bgr, face), dtype=np.float64)
        size = min(1.0, float(sides[taken].min()) / self._config.full_size)
        return IdentityEmbedding(
            unit(vector),
            np.zeros((0, 0), np.float32),
            quality=float(np.clip(boxes[taken, 4], 0.0, 1.0)) * size,
            encoder=self.name,
            licence=self._licence,
            commercial_use=self._commercial_use,
            faces=len(boxes),
        )

    def _load(self, folder: Path, providers: list[str]) -> Any:
        try:
            from insightface.app import FaceAnalysis
        except ImportError as error:
            raise missing("insightface", error) from error
        try:
            app: Any = FaceAnalysis(str(folder), allowed_modules=[DETECTION, RECOGNITION], providers=providers)
        except (AssertionError, *session_errors()) as error:
            raise _broken(folder, str(error).strip().splitlines()[0] if str(error) else "no face detector") from error
        if RECOGNITION not in app.models:
            raise _broken(folder, "no face recogniser")
        found = app.models[RECOGNITION].output_shape[-1]
        if found != self._config.vector_size:
            raise _broken(folder, f"a recogniser of {found} numbers instead of {self._config.vector_size}")
        app.prepare(ctx_id=0 if self.device == "cuda" else -1, det_thresh=self._config.least_score)
        if not app.det_model.use_kps:
            raise _broken(folder, "a face detector without landmarks")
        return app


def _face(box: np.ndarray, landmarks: np.ndarray) -> Any:
    from insightface.app.common import Face

    return Face(bbox=box, kps=landmarks)


def _terms(folder: Path, licence: str, commercial_use: bool) -> tuple[str, bool]:
    """The licence that holds for the models in `folder`, and whether it allows commercial use."""
    try:
        from insightface.model_zoo.model_license import inspect_model_package_license
    except ImportError as error:
        raise missing("insightface", error) from error
    found = inspect_model_package_license(folder, expected_model_id=folder.name)
    if found.defaulted:
        return licence, commercial_use
    if not found.verified or found.license is None:
        raise PortraitHeadError(
            "licence_invalid",
            f"The licence file MODEL.LICENSE in {folder} does not hold: {found.message}.",
            "Remove it to use the models under their public terms, or ask InsightFace for a valid one.",
        )
    return f"InsightFace licence {found.license.license_id} ({found.license.grant})", found.commercial_use_permitted


def _broken(folder: Path, what: str) -> PortraitHeadError:
    return PortraitHeadError(
        "pack_broken",
        f"The identity pack {folder.name} cannot be used: {what}.",
        f"Get it again with: portrait-head models download {folder.name}",
    )
