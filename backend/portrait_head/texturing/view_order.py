"""From where the head is painted, and in which order."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from portrait_head.diffusion.views import ViewAngles
from portrait_head.rendering.orbit import orbit_view
from portrait_head.rendering.tensor_camera import TensorCamera


def _around(elevation: float, *azimuths: float) -> tuple[ViewAngles, ...]:
    return tuple(ViewAngles(azimuth, elevation) for azimuth in azimuths)


# ID-Sculpt, section 3.3: from the photo's view gradually to the back of the head, at last the top. The paper says that
# there are 15 (section 4.1), the angles are those of its public code. Its -15 degrees look up from below.
PAPER_ORDER = _around(-15.0, -45, 45, 0, -90, 90, 120, -120, 150, -150, 180) + _around(45.0, 0, 90, -90, 135, -135)


@dataclass(frozen=True)
class FramingConfig:
    """How the head fills the picture."""

    side: int = 512  # pixels; what Stable Diffusion 1.5 was trained at, and ID-Sculpt's code renders
    distance: float = 3.8 * 0.15  # metres; ID-Sculpt's code, whose unit is about 0.15 m (see `OrbitRanges`)
    margin: float = 1.1  # of the picture over the head in it; ID-Sculpt's code crops so


def framing_camera(angles: ViewAngles, vertices: torch.Tensor, config: FramingConfig = FramingConfig()) -> TensorCamera:
    """The camera of a view, zoomed and shifted so that the vertices [V, 3] (metres, head space) fill a square."""
    centre = (vertices.amin(dim=0) + vertices.amax(dim=0)) / 2
    wide = orbit_view(angles.elevation, angles.azimuth, config.distance, 30.0, centre, config.side, config.side).camera
    return filling(wide, vertices, config)


def filling(camera: TensorCamera, vertices: torch.Tensor, config: FramingConfig = FramingConfig()) -> TensorCamera:
    """The same view, from the same place in the same direction, in which vertices [V, 3] (metres) fill a square."""
    pixels = camera.project(vertices)
    low, high = pixels.amin(dim=0), pixels.amax(dim=0)
    zoom = config.side / (float((high - low).max()) * config.margin)
    middle = ((low + high) / 2).tolist()
    x, y = ((was - here) * zoom + config.side / 2 for was, here in zip(camera.centre, middle, strict=True))
    return TensorCamera(camera.rotation, camera.translation, camera.focal * zoom, (x, y), config.side, config.side)
