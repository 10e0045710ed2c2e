"""A quick textured picture of a head on the CPU, for progress previews and for checks of the textures."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from portrait_head.geometry.surface import vertex_normals
from portrait_head.rendering.camera import PinholeCamera
from portrait_head.rendering.lighting import linear_to_bytes, srgb_to_linear
from portrait_head.rendering.raycast import RayCaster

_LAYERS = 6  # transparent surfaces (lashes, hair) that a ray may pass
_SKIP = 1e-5  # metres past a transparent surface before the next is looked for; hair may lie closer to skin than 0.2 mm
_KEY = np.array([0.3, 0.45, 0.8])  # camera space: from the upper right, towards the viewer, as portraits are lit
_AMBIENT = 0.5
CLAY = 205  # grey of a mesh without texture
TURN = 25.0  # degrees by which clay is turned, so that depth shows
PREVIEW_SIZE = 384


@dataclass(frozen=True)
class Surface:
    """A textured mesh.

    Attributes:
        vertices: [V, 3] metres, head space.
        triangles: [T, 3].
        uvs: [T, 3, 2], origin bottom left, repeating.
        texture: [H, W, 3 or 4] uint8 sRGB with optional alpha.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    uvs: np.ndarray
    texture: np.ndarray


def orbit_camera(
    yaw: float, pitch: float, size: int, target: np.ndarray, half_height: float, distance: float = 1.2
) -> PinholeCamera:
    """A camera `distance` metres from `target`, `yaw` degrees to the subject's left and `pitch` degrees up.

    `half_height` metres above and below the target fill the picture's half height.
    """
    y, p = np.radians([yaw, pitch])
    back = np.array([np.sin(y) * np.cos(p), np.sin(p), np.cos(y) * np.cos(p)])
    right = np.array([np.cos(y), 0.0, -np.sin(y)])
    rotation = np.stack([right, np.cross(back, right), back])
    translation = -rotation @ (np.asarray(target, np.float64) + back * distance)
    middle = np.array([size / 2, size / 2])
    return PinholeCamera(rotation, translation, size / 2 * distance / half_height, middle, size, size)


def render(
    surfaces: tuple[Surface, ...],
    camera: PinholeCamera,
    background: tuple[float, float, float] = (0.45, 0.45, 0.45),
    lit: bool = True,
    samples: int = 2,
) -> np.ndarray:
    """A picture [height, width, 3] uint8 sRGB under one soft key light, or with bare texture colours if not `lit`.

    `samples` rays a side of each pixel are averaged.
    """
    fine = camera.scaled(samples)
    counts = [len(surface.triangles) for surface in surfaces]
    first_triangle = np.cumsum([0, *counts])
    first_vertex = np.cumsum([0, *(len(surface.vertices) for surface in surfaces)])
    vertices = np.concatenate([surface.vertices for surface in surfaces]).astype(np.float64)
    triangles = np.concatenate([s.triangles + first_vertex[i] for i, s in enumerate(surfaces)])
    normals = np.concatenate([vertex_normals(s.vertices, s.triangles) for s in surfaces])
    uvs = np.concatenate([surface.uvs for surface in surfaces]).astype(np.float32)
    textures = [_with_alpha(surface.texture) for surface in surfaces]
    caster = RayCaster(vertices, triangles)
    column, row = np.meshgrid(np.arange(fine.width) + 0.5, np.arange(fine.height) + 0.5)
    rays = fine.rays(np.stack([column, row], axis=-1)).reshape(-1, 3)
    picture = np.zeros((len(rays), 3), np.float32)
    through = np.ones(len(rays), np.float32)
    start = np.zeros(len(rays))
    alive = np.arange(len(rays))
    key = _KEY / np.linalg.norm(_KEY) @ camera.rotation
    for _ in range(_LAYERS):
        hits = caster.cast(camera.position + rays[alive] * start[alive, None], rays[alive])
        alive, hits_triangle = alive[hits.hit], hits.triangle[hits.hit]
        if len(alive) == 0:
            break
        barycentric, distance = hits.barycentric[hits.hit], hits.distance[hits.hit]
        corner = triangles[hits_triangle]
        normal = (normals[corner] * barycentric[..., None]).sum(axis=1)
        uv = (uvs[hits_triangle] * barycentric[..., None]).sum(axis=1)
        colour = np.empty((len(alive), 4), np.float32)
        for index, texture in enumerate(textures):
            mine = (hits_triangle >= first_triangle[index]) & (hits_triangle < first_triangle[index + 1])
            colour[mine] = _read(texture, uv[mine])
        if lit:
            colour[:, :3] *= _shade(normal, rays[alive], key)[:, None]
        opacity = colour[:, 3] * through[alive]
        picture[alive] += colour[:, :3] * opacity[:, None]
        through[alive] -= opacity
        start[alive] += distance + _SKIP
        alive = alive[through[alive] > 0.01]
    picture += through[:, None] * np.asarray(background, np.float32)
    full = picture.reshape(fine.height, fine.width, 3)
    return linear_to_bytes(cv2.resize(full, (camera.width, camera.height), interpolation=cv2.INTER_AREA))


def clay(vertices: np.ndarray, triangles: np.ndarray, camera: PinholeCamera, size: int = PREVIEW_SIZE) -> np.ndarray:
    """A picture [size, size, 3] uint8 of a bare mesh, turned a little from how `camera` sees it.

    Args:
        vertices: [V, 3] metres, head space.
        triangles: [T, 3].
        camera: the photo's.
        size: pixels.
    """
    low, high = vertices.min(axis=0), vertices.max(axis=0)
    yaw, pitch, _ = camera.head_angles()
    middle, half = (low + high) / 2, float(np.linalg.norm(high - low)) / 2
    grey = np.full((1, 1, 3), CLAY, np.uint8)
    surface = Surface(vertices, triangles, np.zeros((len(triangles), 3, 2)), grey)
    return render((surface,), orbit_camera(TURN - yaw, -pitch, size, middle, half))


def _shade(normals: np.ndarray, rays: np.ndarray, key: np.ndarray) -> np.ndarray:
    """Light [N] of a soft key and an ambient that fades to the sides; both sides of a surface are lit alike."""
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = normals / np.where(length > 0, length, 1.0)
    towards = -(normals * rays).sum(axis=1)
    normals = np.where(towards[:, None] < 0, -normals, normals)
    wrapped = np.clip((normals @ key + 0.25) / 1.25, 0.0, None)
    return (_AMBIENT * (0.5 + 0.5 * np.abs(towards)) + (1 - _AMBIENT) * wrapped * 1.15).astype(np.float32)


def _with_alpha(texture: np.ndarray) -> np.ndarray:
    linear = np.ones((*texture.shape[:2], 4), np.float32)
    linear[..., :3] = srgb_to_linear(np.ascontiguousarray(texture[..., :3]))
    if texture.shape[2] == 4:
        linear[..., 3] = texture[..., 3] / np.float32(255)
    return np.pad(linear, ((1, 1), (1, 1), (0, 0)), mode="wrap")


def _read(padded: np.ndarray, uvs: np.ndarray) -> np.ndarray:
    """Bilinear values [N, 4] of a texture with one texel of wrapped border."""
    height, width = padded.shape[0] - 2, padded.shape[1] - 2
    wrapped = uvs - np.floor(uvs)
    x, y = wrapped[:, 0] * width + 0.5, (1.0 - wrapped[:, 1]) * height + 0.5
    left, top = np.minimum(x.astype(int), width), np.minimum(y.astype(int), height)
    fx, fy = (x - left)[:, None].astype(np.float32), (y - top)[:, None].astype(np.float32)
    upper = padded[top, left] * (1 - fx) + padded[top, left + 1] * fx
    lower = padded[top + 1, left] * (1 - fx) + padded[top + 1, left + 1] * fx
    return upper * (1 - fy) + lower * fy
