"""Random cameras around the head."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from portrait_head.rendering.tensor_camera import TensorCamera, look_at


@dataclass(frozen=True)
class OrbitRanges:
    """Uniform ranges of the cameras that sculpting looks through.

    Angles and fields of view are those of ID-Sculpt's geometry stage (configs/liudehua_geo.yaml of its public code).
    Its distances, 3.5 to 4.5, count in units of a head scaled to +-0.9; a head from chin to crown, hair included,
    is about 0.27 m, so one unit is 0.15 m.

    Attributes:
        elevation: degrees; positive looks down from above.
        azimuth: degrees; 0 in front of the face (+Z), positive to the subject's left (+X).
        distance: metres from the centre looked at.
        field_of_view: degrees from the image's top to its bottom.
    """

    elevation: tuple[float, float] = (-15.0, 45.0)
    azimuth: tuple[float, float] = (-180.0, 180.0)
    distance: tuple[float, float] = (3.5 * 0.15, 4.5 * 0.15)
    field_of_view: tuple[float, float] = (25.0, 45.0)


@dataclass(frozen=True)
class OrbitView:
    """A camera and the angles that it was made from, which guidance by text needs.

    Attributes:
        camera: the camera.
        elevation: degrees.
        azimuth: degrees, -180 to 180.
        distance: metres.
        field_of_view: degrees.
    """

    camera: TensorCamera
    elevation: float
    azimuth: float
    distance: float
    field_of_view: float


def orbit_view(
    elevation: float,
    azimuth: float,
    distance: float,
    field_of_view: float,
    centre: torch.Tensor,
    width: int,
    height: int,
) -> OrbitView:
    """The view of `centre` [3] (metres, head space) from the given angles (degrees) and distance (metres)."""
    up, around = math.radians(elevation), math.radians(azimuth)
    away = (math.cos(up) * math.sin(around), math.sin(up), math.cos(up) * math.cos(around))
    eye = centre + centre.new_tensor(away) * distance
    camera = look_at(eye, centre, field_of_view, width, height)
    return OrbitView(camera, elevation, azimuth, distance, field_of_view)


def sample_orbit(
    ranges: OrbitRanges, centre: torch.Tensor, width: int, height: int, generator: torch.Generator
) -> OrbitView:
    """A view drawn uniformly from `ranges`: four numbers of `generator` (a CPU generator), on `centre`'s device."""
    drawn = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
    limits = (ranges.elevation, ranges.azimuth, ranges.distance, ranges.field_of_view)
    values = (low + (high - low) * fraction for fraction, (low, high) in zip(drawn, limits, strict=True))
    return orbit_view(*values, centre=centre, width=width, height=height)
