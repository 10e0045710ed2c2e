"""The free-topology head of the asset: the sculpt itself, textured and animated, beside the head of fixed topology."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.spatial import KDTree

from portrait_head.asset import AssetMesh, Material
from portrait_head.head_model.free_topology import FreeHead, free_head
from portrait_head.head_model.model import HeadModel, Part
from portrait_head.stages.fit import Fit
from portrait_head.stages.sculpt import Sculpt
from portrait_head.stages.texture import Texture
from portrait_head.texturing.free_topology_uv import Colours, carry_colour, unwrap
from portrait_head.texturing.uv_raster import rasterise

TRIANGLES = 30_000  # of head and hair together
NAME, HAIR_NAME = "sculpt", "sculpt_hair"
INSIDE = ("mouth", "eye_left", "eye_right", "teeth_upper", "teeth_lower", "tongue", "lashes")
ROUGHNESS, SPECULAR, SUBSURFACE = 0.5, 0.35, 0.0  # of skin and hair, which share one material


def free_topology(
    model: HeadModel, fit: Fit, sculpt: Sculpt, texture: Texture, head: AssetMesh, materials: tuple[Material, ...]
) -> tuple[tuple[AssetMesh, ...], Material]:
    """The sculpt as one or two meshes, and the material that they share; it comes after `materials`.

    The head is the sculpt's skin, and behind it the fixed-topology head's eyes, lashes, teeth, tongue and cavity of
    the mouth with the textures that they have. It carries the same 52 keys. The hair is cut off it.
    """
    free = free_head(
        model, head.vertices.astype(np.float64), head.shape_keys, (sculpt.vertices, sculpt.triangles), sculpt.hair,
        TRIANGLES,
    )  # fmt: skip
    shells = [(free.vertices, free.triangles), (free.hair_vertices, free.hair_triangles)]
    shells = [shell for shell in shells if len(shell[1])]
    uvs = unwrap(shells)
    sources = [_skin_colours(model, fit, texture)]
    if len(sculpt.hair_triangles):
        hair = Colours(sculpt.hair_vertices, sculpt.hair_triangles, texture.hair_uvs, texture.hair[..., :3])
        sources.append(hair)
    image = _image(shells, uvs, [sources[min(place, len(sources) - 1)] for place in range(len(shells))], texture)
    own = len(materials)
    meshes = [_head(model, free, uvs[0], head, own)]
    if len(shells) > 1:
        meshes.append(_shell(model, HAIR_NAME, "hair", shells[1], uvs[1], head, own))
    return tuple(meshes), Material(NAME, image, "opaque", ROUGHNESS, SPECULAR, SUBSURFACE)


def _skin_colours(model: HeadModel, fit: Fit, texture: Texture) -> Colours:
    first, last = model.part("skin").faces
    hidden = np.concatenate([model.regions[f"eye_socket_{side}"] for side in ("left", "right")])
    faces = np.arange(first, last)[~np.isin(model.quads[first:last], hidden).any(axis=1)]
    rows = np.stack([2 * faces, 2 * faces + 1], axis=1).ravel()
    corners = model.uvs[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3, 2)
    return Colours(fit.neutral, model.triangles()[rows], corners[rows], texture.skin)


def _image(
    shells: list[tuple[np.ndarray, np.ndarray]], uvs: list[np.ndarray], sources: list[Colours], texture: Texture
) -> np.ndarray:
    """[S, S, 3] uint8, the base colour of all shells in their one layout."""
    size = texture.skin.shape[0]
    firsts = np.cumsum([0, *(len(vertices) for vertices, _ in shells)])
    vertices = np.concatenate([shell[0] for shell in shells])
    triangles = np.concatenate([shell[1] + first for shell, first in zip(shells, firsts[:-1], strict=True)])
    raster = rasterise(np.concatenate(uvs), triangles, len(vertices), (size, size))
    owner = np.searchsorted(np.cumsum([len(shell[1]) for shell in shells]), raster.triangle, side="right")
    colours = np.empty((len(raster.texels), 3), np.uint8)
    for place, source in enumerate(sources):
        mine = np.flatnonzero(owner == place)
        part = replace(raster, texels=raster.texels[mine], triangle=raster.triangle[mine], weights=raster.weights[mine])
        colours[mine] = carry_colour(part, vertices, triangles, source)
    return raster.image(colours)


def _shell(
    model: HeadModel,
    name: str,
    part: str,
    shell: tuple[np.ndarray, np.ndarray],
    uvs: np.ndarray,
    head: AssetMesh,
    material: int,
) -> AssetMesh:
    """A mesh without keys, bound to the bones as the skin nearest to each vertex is."""
    vertices, triangles = shell
    skin = np.arange(*model.part("skin").vertices)
    _, nearest = KDTree(head.vertices[skin]).query(vertices)
    count = len(triangles)
    return AssetMesh(
        name=name,
        vertices=vertices.astype(np.float32),
        faces=np.concatenate([triangles, np.full((count, 1), -1)], axis=1).astype(np.int32),
        uvs=np.concatenate([uvs, np.zeros((count, 1, 2))], axis=1).astype(np.float32),
        material=np.full(count, material, np.int32),
        joints=head.joints[skin[nearest]],
        weights=head.weights[skin[nearest]],
        shape_keys=np.zeros((0, len(vertices), 3), np.float32),
        parts=(Part(part, NAME, (0, len(vertices)), (0, count)),),
    )


def _head(model: HeadModel, free: FreeHead, uvs: np.ndarray, head: AssetMesh, material: int) -> AssetMesh:
    """The sculpt's skin, and what the head of fixed topology has behind it."""
    skin = _shell(model, NAME, "skin", (free.vertices, free.triangles), uvs, head, material)
    pieces, parts = [skin], list(skin.parts)
    count, faces = len(skin.vertices), len(skin.faces)
    keys = [free.shape_keys]
    for name in INSIDE:
        piece, deltas = _inside(model, head, name, count)
        pieces.append(piece)
        keys.append(deltas)
        grown = count + len(piece.vertices), faces + len(piece.faces)
        parts.append(Part(name, model.part(name).material, (count, grown[0]), (faces, grown[1])))
        count, faces = grown
    joined = {
        field: np.concatenate([getattr(piece, field) for piece in pieces])
        for field in ("vertices", "faces", "uvs", "material", "joints", "weights")
    }
    return AssetMesh(name=NAME, **joined, shape_keys=np.concatenate(keys, axis=1), parts=tuple(parts))


def _inside(model: HeadModel, head: AssetMesh, name: str, first: int) -> tuple[AssetMesh, np.ndarray]:
    """One part of the fixed-topology head with vertices counted from `first`, and its keys."""
    rows = slice(*model.part(name).faces)
    used, corners = np.unique(model.quads[rows], return_inverse=True)
    piece = AssetMesh(
        name=name,
        vertices=head.vertices[used],
        faces=(first + corners.reshape(-1, 4)).astype(np.int32),
        uvs=head.uvs[rows],
        material=head.material[rows],
        joints=head.joints[used],
        weights=head.weights[used],
        shape_keys=np.zeros((0, len(used), 3), np.float32),
        parts=(),
    )
    return piece, head.shape_keys[:, used]
