"""The pinhole camera for tensors: the same geometry as `camera.PinholeCamera`, with gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from portrait_head.rendering.camera import PinholeCamera


@dataclass(frozen=True)
class TensorCamera:
    """A camera without lens distortion; conventions are those of `PinholeCamera`.

    Gradients reach the points and the pose; the intrinsics are plain numbers.

    Attributes:
        rotation: [3, 3], head space to camera space (x right, y up, z towards the viewer).
        translation: [3], metres, camera space.
        focal: focal length in pixels.
        centre: principal point (x, y) in pixels from the image's top left corner.
        width: image width in pixels.
        height: image height in pixels.
    """

    rotation: torch.Tensor
    translation: torch.Tensor
    focal: float
    centre: tuple[float, float]
    width: int
    height: int

    @classmethod
    def from_pinhole(
        cls, camera: PinholeCamera, device: torch.device | str = "cpu", dtype: torch.dtype = torch.float32
    ) -> TensorCamera:
        """The fit's camera as tensors."""
        return cls(
            torch.as_tensor(camera.rotation).to(device, dtype),
            torch.as_tensor(camera.translation).to(device, dtype),
            float(camera.focal),
            (float(camera.centre[0]), float(camera.centre[1])),
            int(camera.width),
            int(camera.height),
        )

    def to_pinhole(self) -> PinholeCamera:
        """The same camera as numpy arrays, without gradients."""
        rotation = self.rotation.detach().cpu().double().numpy()
        translation = self.translation.detach().cpu().double().numpy()
        return PinholeCamera(rotation, translation, self.focal, np.array(self.centre), self.width, self.height)

    def to_camera(self, points: torch.Tensor) -> torch.Tensor:
        """Head-space points [..., 3] to camera space [..., 3], metres."""
        return points @ self.rotation.T + self.translation

    def directions_to_camera(self, directions: torch.Tensor) -> torch.Tensor:
        """Head-space directions, normals among them, [..., 3] to camera space [..., 3]."""
        return directions @ self.rotation.T

    def project(self, points: torch.Tensor) -> torch.Tensor:
        """Head-space points [..., 3] to pixels [..., 2]; what lies behind the camera is mirrored through it."""
        return self.project_camera(self.to_camera(points))

    def project_camera(self, points: torch.Tensor) -> torch.Tensor:
        """Camera-space points [..., 3] to pixels [..., 2]."""
        x, y, z = points.unbind(-1)
        scale = self.focal / -z
        return torch.stack([self.centre[0] + x * scale, self.centre[1] - y * scale], dim=-1)

    @property
    def position(self) -> torch.Tensor:
        """Where the camera stands: [3], metres, head space."""
        return -self.rotation.T @ self.translation

    def resized(self, width: int, height: int) -> TensorCamera:
        """The same view in an image of another size; `height` sets the scale and the middle of the width is kept."""
        factor = height / self.height
        centre = (width / 2 + (self.centre[0] - self.width / 2) * factor, self.centre[1] * factor)
        return TensorCamera(self.rotation, self.translation, self.focal * factor, centre, width, height)


def look_at(eye: torch.Tensor, target: torch.Tensor, field_of_view: float, width: int, height: int) -> TensorCamera:
    """A camera at `eye` that looks at `target`, upright.

    Args:
        eye: [3], metres, head space; not straight above or below the target.
        target: [3], metres, seen in the middle of the image.
        field_of_view: degrees from the image's top to its bottom.
        width: pixels.
        height: pixels.
    """
    back = torch.nn.functional.normalize(eye - target, dim=0)
    up = torch.tensor([0.0, 1.0, 0.0], dtype=eye.dtype, device=eye.device)
    right = torch.nn.functional.normalize(torch.linalg.cross(up, back), dim=0)
    rotation = torch.stack([right, torch.linalg.cross(back, right), back])
    focal = height / 2 / float(np.tan(np.radians(field_of_view) / 2))
    return TensorCamera(rotation, -rotation @ eye, focal, (width / 2, height / 2), width, height)
