"""The hair mesh's texture: the photo where it shows hair, strands of the same colours elsewhere."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import dijkstra

from portrait_head.geometry.capsule import COLUMNS, Capsule
from portrait_head.geometry.surface import vertex_normals
from portrait_head.rendering.camera import PinholeCamera
from portrait_head.rendering.lighting import LUMINANCE
from portrait_head.texturing.noise import band_noise
from portrait_head.texturing.projection import depth_view, project
from portrait_head.texturing.sampling import sample_texture
from portrait_head.texturing.scalp import HairTone
from portrait_head.texturing.shaping import step
from portrait_head.texturing.surface_fill import edge_laplacian, fill
from portrait_head.texturing.uv_raster import UvRaster, rasterise


@dataclass(frozen=True)
class HairConfig:
    """Lengths in metres, colours as ranks 0 (darkest) to 1 (lightest) of the photo's own hair."""

    rank: float = 0.46  # of hair that was not seen
    strand_contrast: float = 0.15
    lock_contrast: float = 0.12  # locks: what bundles of strands do together
    nape_shade: float = 0.16  # rank lost towards the nape, where hair lies in the head's shadow
    fade: float = 0.005  # from the end of a strand inwards
    lock_ends: float = 0.008  # how far from the edge of the mesh the shortest locks end
    strand_ends: float = 0.004  # and the shortest strands of a lock
    wave: float = 0.006  # sideways wandering of strands, as a share of the way round the head
    grid: tuple[int, int] = (64, 128)  # rows and columns of the smooth colours
    mirror_trust: float = 0.5
    ragged: float = 0.55  # of trust: how far single strands carry the photo on, or stop before its border
    sharp_trust: float = 0.7  # of texels whose contrast is measured
    least_texels: int = 2000
    bands: tuple[float, ...] = (0.0012, 0.004)  # blur between bands of detail, shares of the way round the head
    least_contrast: float = 0.5  # of drawn strands, however blurred the photo is
    most_contrast: float = 1.25


def hair_uvs(vertices: np.ndarray, triangles: np.ndarray, capsule: Capsule) -> np.ndarray:
    """UVs [M, 3, 2] float32 of hair: u runs round the head from the face to the subject's left, v from tip to crown.

    A triangle over the seam (at the face, where u is 0) has u beyond 1: the texture repeats.
    """
    row, column, _ = capsule.locate(vertices)
    u, v = column / COLUMNS, 1.0 - np.clip(row / capsule.rows, 0.0, 1.0)
    corners = np.stack([u[triangles], v[triangles]], axis=-1)
    corners[..., 0] -= np.rint(corners[..., 0] - corners[:, :1, 0])
    corners[..., 0] -= np.floor(corners[..., 0].min(axis=1, keepdims=True))
    return corners.astype(np.float32)


def paint_hair(
    vertices: np.ndarray,
    triangles: np.ndarray,
    uvs: np.ndarray,
    capsule: Capsule,
    image: np.ndarray,
    hair_mask: np.ndarray,
    camera: PinholeCamera,
    blockers: tuple[np.ndarray, np.ndarray],
    tone: HairTone,
    shape: tuple[int, int],
    seed: int,
    config: HairConfig = HairConfig(),
) -> np.ndarray:
    """sRGB colour and alpha [H, W, 4] float32, 0 to 1.

    Args:
        vertices, triangles: the hair mesh, [N, 3] metres and [M, 3].
        uvs: [M, 3, 2] from `hair_uvs`.
        capsule: the coordinates they were made with.
        image: [S, S, 3] uint8 sRGB.
        hair_mask: [S, S] float32, 0 to 1, with soft borders.
        camera: of the image.
        blockers: vertices [V, 3] and triangles [T, 3] of the head in the photo's pose.
        tone: colours of the hair.
        shape: rows and columns of the texture.
        seed: of the strands.
    """
    raster = _raster(vertices, triangles, uvs, capsule, shape)
    normals = vertex_normals(vertices, triangles)
    around = np.concatenate([vertices, blockers[0]]), np.concatenate([triangles, blockers[1] + len(vertices)])
    seen = depth_view(*around, camera)
    photo = project(image, hair_mask[..., None], camera, vertices, normals, seen, raster)
    colour = raster.sparse_image(photo.colour)
    trust = raster.sparse_image(photo.shares[:, 0])
    strands, ragged, ends = _strands(shape, capsule, seed, config)

    # The smooth colours first: where the photo ends, strands go on in the colour it ended with.
    height = np.linspace(0.0, 1.0, shape[0], dtype=np.float32)[:, None] * np.ones(shape[1], np.float32)
    usual = tone.at(config.rank - config.nape_shade * step(height, 0.35, 0.95))
    borrowed = config.mirror_trust * trust[:, ::-1] * (1 - trust)
    known = trust + borrowed
    mixed = colour * trust[..., None] + colour[:, ::-1] * borrowed[..., None]
    smooth = _smooth_map(mixed / np.maximum(known, 1e-6)[..., None], known, usual, config)

    drawn = tone.at(config.rank + strands) - tone.at(np.array(config.rank))
    own_smooth = _smooth_map(colour, trust, usual, config)
    grown = smooth + _in_contrast(drawn, colour - own_smooth, trust, config)
    other_side = step(trust[:, ::-1], 0.1, 0.8)[..., None]
    grown += (colour[:, ::-1] - own_smooth[:, ::-1] + smooth - grown) * other_side
    # A border along strands, not across them: the photo gives way strand by strand.
    amount = step(trust + config.ragged * ragged * (trust > 0) * (trust < 1), 0.25, 0.75)
    grown += (colour - grown) * amount[..., None]
    out = np.empty((*shape, 4), np.float32)
    out[..., :3] = raster.image(raster.flat(np.clip(grown, 0, 1)))
    edge = raster.image(raster.spread(_edge_distance(vertices, triangles))[:, None])[..., 0]
    out[..., 3] = step(edge - ends, 0.0, config.fade)
    return out


def _in_contrast(drawn: np.ndarray, photographed: np.ndarray, trust: np.ndarray, config: HairConfig) -> np.ndarray:
    """Drawn locks and strands [H, W, 3] that stand out, band by band, as those `photographed` [H, W, 3] do.

    The deviation from smooth colours is compared where the photo is trusted [H, W].
    """
    sure = trust > config.sharp_trust
    if sure.sum() < config.least_texels:
        return drawn
    fine = drawn - _smooth_map(drawn, trust, np.zeros_like(drawn), config)
    out = np.zeros_like(drawn)
    every = (_bands(picture, config) for picture in (drawn, fine, photographed * trust[..., None]))
    for band, ours, theirs in zip(*every, strict=True):
        there, here = ((picture[sure] @ LUMINANCE).std() for picture in (theirs, ours))
        out += band * np.clip(there / max(float(here), 1e-6), config.least_contrast, config.most_contrast)
    return out


def _bands(picture: np.ndarray, config: HairConfig) -> list[np.ndarray]:
    """A picture [H, W, 3] as the sum of its bands, the finest first."""
    bands = []
    for width in config.bands:
        soft = cv2.GaussianBlur(picture, (0, 0), width * picture.shape[1])
        bands.append(picture - soft)
        picture = soft
    return [*bands, picture]


def _raster(
    vertices: np.ndarray, triangles: np.ndarray, uvs: np.ndarray, capsule: Capsule, shape: tuple[int, int]
) -> UvRaster:
    """Texels of the outermost layer; triangles over the seam are laid down on both sides of it."""
    over = np.flatnonzero((uvs[..., 0] > 1).any(axis=1))
    both = np.concatenate([uvs, uvs[over] - np.array([1.0, 0.0], np.float32)])
    index = np.concatenate([np.arange(len(triangles)), over])
    distance = np.linalg.norm((vertices - capsule.centre) * [1.0, 0.0, 1.0], axis=1)
    lift = distance[triangles[index]] / max(float(distance.max()), 1e-6)
    raster = rasterise(both, triangles[index], len(vertices), shape, lift)
    return UvRaster(shape, raster.texels, index[raster.triangle].astype(np.int32), raster.weights)


def _strands(
    shape: tuple[int, int], capsule: Capsule, seed: int, config: HairConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rank offsets of strands and locks, noise of about -1 to 1 that follows single strands, metres by which strands
    end before the mesh does: each [H, W].
    """
    rows, columns = shape
    v, u = np.meshgrid((np.arange(rows) + 0.5) / rows, (np.arange(columns) + 0.5) / columns, indexing="ij")
    wander = band_noise(256, (40.0, 256.0), seed)[..., None]
    # Strands wander together, more towards their tips.
    u_moved = u + config.wave * (0.3 + v) * _tile(wander, u, v * 0.7)
    u_moved += 0.25 * config.wave * _tile(wander, u * 3, v * 2 + 0.37)
    fine = band_noise(1024, (2.2, 18.0), seed + 1, stretch=14.0)[..., None]
    locks = band_noise(512, (8.0, 90.0), seed + 2, stretch=5.0)[..., None]
    # The way round the head shrinks towards the crown; frequencies shrink with it, a power of two at a time.
    arc = np.clip(v * capsule.rows / (capsule.rows - _hanging_rows(capsule)), 0.0, 1.0)
    level = np.clip(-np.log2(np.maximum(np.sin(arc * np.pi / 2), 1 / 16)), 0.0, 3.999)
    strand, lock = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    for octave in range(5):
        share = np.clip(1 - np.abs(level - octave), 0.0, 1.0).astype(np.float32)
        used = share.max(axis=1) > 0
        if not used.any():
            continue
        turns = 16 // 2**octave
        part = np.sqrt(share[used])
        strand[used] += part * _tile(fine, u_moved[used] * turns / 4, v[used] + 0.13 * octave)
        lock[used] += part * _tile(locks, u_moved[used] * turns / 4, v[used] * 1.5 + 0.29 * octave)
    strand, lock = np.clip(strand, -2.2, 2.2), np.clip(lock, -2.2, 2.2)
    rank = config.strand_contrast * strand + config.lock_contrast * lock
    ragged = np.clip(strand * 0.8 + lock * 0.4, -1.5, 1.5) / 1.5
    ends = config.lock_ends * _share(lock) + config.strand_ends * _share(strand)
    return rank.astype(np.float32), ragged.astype(np.float32), ends.astype(np.float32)


def _share(noise: np.ndarray) -> np.ndarray:
    """Noise of deviation 1 as 0 to 1."""
    return np.clip(0.5 + noise / 3, 0.0, 1.0)


def _hanging_rows(capsule: Capsule) -> int:
    return int((capsule.heights > 0).sum())


def _tile(noise: np.ndarray, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    return sample_texture(noise, np.stack([u.ravel(), v.ravel()], axis=1)).reshape(u.shape)


def _smooth_map(colour: np.ndarray, trust: np.ndarray, usual: np.ndarray, config: HairConfig) -> np.ndarray:
    """Smooth colours [H, W, 3] that follow the trusted ones and run on to `usual` elsewhere."""
    rows, columns = config.grid
    size = (columns, rows)
    weight = cv2.resize(trust, size, interpolation=cv2.INTER_AREA)
    total = cv2.resize(colour * trust[..., None], size, interpolation=cv2.INTER_AREA)
    prior = cv2.resize(usual, size, interpolation=cv2.INTER_AREA)
    mean = total / np.maximum(weight, 1e-6)[..., None]
    solved = fill(
        _grid_laplacian(rows, columns),
        mean.reshape(-1, 3),
        weight.reshape(-1).astype(np.float64),
        prior.reshape(-1, 3),
        smoothness=0.5,
        pull=6e-3,
    ).reshape(rows, columns, 3)
    wrapped = np.concatenate([solved[:, -4:], solved, solved[:, :4]], axis=1)
    scale = colour.shape[1] // columns
    large = cv2.resize(wrapped, ((columns + 8) * scale, colour.shape[0]), interpolation=cv2.INTER_CUBIC)
    return large[:, 4 * scale : 4 * scale + colour.shape[1]]


def _grid_laplacian(rows: int, columns: int) -> csr_matrix:
    index = np.arange(rows * columns).reshape(rows, columns)
    beside = np.roll(index, -1, axis=1)
    # Two triangles a cell are a convenient way to name the edges along rows and columns.
    cells = [
        np.stack([index[:-1], beside[:-1], index[1:]], axis=-1).reshape(-1, 3),
        np.stack([beside[1:], index[1:], beside[:-1]], axis=-1).reshape(-1, 3),
    ]
    return edge_laplacian(np.concatenate(cells), rows * columns)


def _edge_distance(vertices: np.ndarray, triangles: np.ndarray, limit: float = 0.04) -> np.ndarray:
    """Metres [N] along the mesh to its open border, at most `limit`."""
    edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    pairs, times = np.unique(edges, axis=0, return_counts=True)
    border = np.unique(pairs[times == 1])
    if len(border) == 0:
        return np.full(len(vertices), limit)
    length = np.linalg.norm(vertices[pairs[:, 0]] - vertices[pairs[:, 1]], axis=1)
    graph = csr_matrix((length, (pairs[:, 0], pairs[:, 1])), (len(vertices), len(vertices)))
    distance = dijkstra(graph, directed=False, indices=border, limit=limit, min_only=True)
    return np.minimum(distance, limit)
