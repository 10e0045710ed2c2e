"""Pictures of a finished head from any side, for measures and galleries."""

from __future__ import annotations

import numpy as np

from portrait_head.asset import AssetMesh, HeadAsset
from portrait_head.head_model.arkit import ARKIT_NAMES
from portrait_head.rendering.preview import Surface, orbit_camera, render

HALF_HEIGHT = 0.17  # metres: crown to chin with a margin


def picture(asset: HeadAsset, yaw: float, expression: dict[str, float], size: int = 512) -> np.ndarray:
    """The head seen `yaw` degrees from its left: [size, size, 3] uint8 sRGB.

    Args:
        asset: the head.
        yaw: degrees; positive where the camera stands on the subject's left.
        expression: ARKit weights by name; those left out are 0.
        size: side in pixels.
    """
    target = np.array([0.0, 0.01, 0.0])
    return render(surfaces(asset, expression), orbit_camera(yaw, 0.0, size, target, HALF_HEIGHT))


def surfaces(asset: HeadAsset, expression: dict[str, float]) -> tuple[Surface, ...]:
    """Every mesh of the head in an expression, one surface a material."""
    return tuple(surface for mesh in asset.meshes for surface in _surfaces(asset, mesh, expression))


def posed(mesh: AssetMesh, expression: dict[str, float]) -> np.ndarray:
    """Vertices [V, 3] of a mesh with an expression."""
    if not len(mesh.shape_keys):
        return mesh.vertices
    weights = np.array([expression.get(name, 0.0) for name in ARKIT_NAMES], np.float32)
    return mesh.vertices + np.tensordot(weights, mesh.shape_keys, axes=1)


def _surfaces(asset: HeadAsset, mesh: AssetMesh, expression: dict[str, float]) -> list[Surface]:
    vertices = posed(mesh, expression)
    found = []
    for index in np.unique(mesh.material):
        rows = mesh.material == index
        faces, uvs = mesh.faces[rows], mesh.uvs[rows]
        quads = faces[:, 3] >= 0
        triangles = np.concatenate([faces[:, :3], faces[quads][:, [0, 2, 3]]])
        corners = np.concatenate([uvs[:, :3], uvs[quads][:, [0, 2, 3]]])
        found.append(Surface(vertices, triangles, corners, asset.materials[index].base_color))
    return found
