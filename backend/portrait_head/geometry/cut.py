"""A surface parted along the zero lines of fields on its vertices: hair from skin, clothes from the neck, lip from lip.

Triangles are cut where a field changes its sign along their edges, so the parts' rims are the same line, vertex for
vertex, and together they are the whole surface. No cut passes nearer to a vertex than a share of its edge: no slivers,
and every vertex keeps one fan of triangles on either side, which is what keeps the parts manifold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix, identity
from scipy.sparse.csgraph import connected_components

from portrait_head.geometry.surface import neighbour_mean, triangle_areas

CLEARANCE = 0.2  # share of an edge that a cut keeps from the edge's ends


@dataclass(frozen=True)
class Piece:
    """A part of a cut surface.

    Attributes:
        vertices: [n, 3] metres.
        triangles: [m, 3] int64, wound as the whole was.
        origin: [n, N] sparse: its product with values on the vertices of the whole gives the values here.
    """

    vertices: np.ndarray
    triangles: np.ndarray
    origin: csr_matrix


def part(
    vertices: np.ndarray, triangles: np.ndarray, fields: np.ndarray, least: float = 0.005, smoothing: int = 4
) -> tuple[Piece, ...]:
    """Part a surface by fields.

    Args:
        vertices: [N, 3] metres.
        triangles: [M, 3].
        fields: [K, N]; the first field that is positive has the place.
        least: share of the whole's area; what is smaller and has another part round it goes to that part.
        smoothing: rounds in which every value becomes the mean of its neighbours', so that rims are even.

    Returns:
        K + 1 pieces, one a field and the rest; a piece may be empty. Where two meet, their rims are equal to the bit.
    """
    mesh = _Mesh(np.asarray(vertices, np.float64), np.asarray(triangles, np.int64), csr_matrix(identity(len(vertices))))
    count = len(fields)
    label = np.full(len(triangles), count)
    smallest = least * float(triangle_areas(mesh.vertices, mesh.triangles).sum())
    mean = neighbour_mean(len(vertices), mesh.triangles)
    fields = np.asarray(fields, np.float64).T
    for _ in range(smoothing):
        fields = mean @ fields
    for number, field in enumerate(fields.T):
        rest = label == count
        signs = _without_islands(mesh, rest, mesh.origin @ field, smallest)
        mesh, owner, positive, _ = _split(mesh, rest, signs)
        label = np.where(rest[owner] & positive, number, label[owner])
    return tuple(_piece(mesh, label == number) for number in range(count + 1))


def slit(
    vertices: np.ndarray,
    triangles: np.ndarray,
    field: np.ndarray,
    near: np.ndarray,
    opens: np.ndarray,
    least: float = 0.1,
) -> Piece:
    """Cut a surface open along a zero line without taking anything away: the lips of a face that has none apart.

    Args:
        vertices: [N, 3] metres.
        triangles: [M, 3].
        field: [N], of other signs on the two sides of the line.
        near: [N] bool; triangles with another corner are left alone.
        opens: [N]; of the line, what has a positive value here comes apart. Its ends stay joined.
        least: share of the area near the line; a smaller piece of one side within the other is no side of its own.

    Returns:
        the surface with two vertices, one a side, at every place of the line that came apart.
    """
    mesh = _Mesh(np.asarray(vertices, np.float64), np.asarray(triangles, np.int64), csr_matrix(identity(len(vertices))))
    active = near[mesh.triangles].all(axis=1)
    area = float(triangle_areas(mesh.vertices, mesh.triangles[active]).sum())
    field = _without_islands(mesh, active, np.asarray(field, np.float64), least * area)
    mesh, owner, positive, line = _split(mesh, active, field)
    # What also belongs to a triangle that was left alone is an end of the line.
    ends = np.zeros(len(mesh.vertices), bool)
    ends[mesh.triangles[~active[owner]]] = True
    doubled = np.flatnonzero(line & ~ends & (mesh.origin @ np.asarray(opens, np.float64) > 0))
    copy = np.arange(len(mesh.vertices))
    copy[doubled] = len(mesh.vertices) + np.arange(len(doubled))
    moved = np.where((active[owner] & positive)[:, None], copy[mesh.triangles], mesh.triangles)
    source = np.concatenate([np.arange(len(mesh.vertices)), doubled])
    return Piece(mesh.vertices[source], moved, csr_matrix(mesh.origin[source]))


@dataclass(frozen=True)
class _Mesh:
    vertices: np.ndarray
    triangles: np.ndarray
    origin: csr_matrix


def _split(mesh: _Mesh, active: np.ndarray, field: np.ndarray) -> tuple[_Mesh, np.ndarray, np.ndarray, np.ndarray]:
    """Put the zero line of `field` [n] into the triangles marked `active` [m].

    Returns:
        the finer mesh, which triangle each of its triangles was cut from, whether that side of the line is positive
        (meaningless where not active), and which vertices lie on the line.
    """
    triangles, count = mesh.triangles, len(mesh.vertices)
    positive = field > 0
    edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    unique, inverse = np.unique(edges, axis=0, return_inverse=True)
    inverse = inverse.reshape(-1, 3)
    crossed = np.zeros(len(unique), bool)
    crossed[inverse[active]] = True
    crossed &= positive[unique[:, 0]] != positive[unique[:, 1]]
    ends = unique[crossed]
    at = np.clip(field[ends[:, 0]] / (field[ends[:, 0]] - field[ends[:, 1]]), CLEARANCE, 1 - CLEARANCE)
    number = np.full(len(unique), -1)
    number[crossed] = count + np.arange(len(ends))
    on_edge = number[inverse]  # [m, 3] the new vertex on each of a triangle's edges 01, 12, 20, or -1

    rows = np.arange(len(ends))
    between = coo_matrix(
        (np.concatenate([1 - at, at]), (np.concatenate([rows, rows]), ends.T.ravel())), shape=(len(ends), count)
    )
    step = coo_matrix(
        (
            np.concatenate([np.ones(count), between.data]),
            (np.concatenate([np.arange(count), count + between.row]), np.concatenate([np.arange(count), between.col])),
        ),
        shape=(count + len(ends), count),
    ).tocsr()

    cuts = (on_edge >= 0).sum(axis=1)
    whole = cuts == 0
    faces, owners, sides = [triangles[whole]], [np.flatnonzero(whole)], [positive[triangles[whole, 0]]]

    def add(owner: np.ndarray, side: np.ndarray, *corners: np.ndarray) -> None:
        faces.append(np.stack(corners, axis=1))
        owners.append(owner)
        sides.append(side)

    for place in range(3):
        # One edge is cut (its neighbour is active, this one is not): halved towards the corner across.
        one = np.flatnonzero((cuts == 1) & (on_edge[:, place] >= 0))
        a, b, c = (triangles[one, (place + turn) % 3] for turn in range(3))
        middle = on_edge[one, place]
        add(one, positive[a], a, middle, c)
        add(one, positive[b], middle, b, c)
        # Two edges are cut: the corner between them comes off, and what remains is halved along its shorter diagonal.
        two = np.flatnonzero((cuts == 2) & (on_edge[:, (place + 1) % 3] < 0))
        a, b, c = (triangles[two, (place + turn) % 3] for turn in range(3))
        ab, ca = on_edge[two, place], on_edge[two, (place + 2) % 3]
        add(two, positive[a], a, ab, ca)
        at_ab, at_ca = step[ab] @ mesh.vertices, step[ca] @ mesh.vertices
        first = np.linalg.norm(at_ab - mesh.vertices[c], axis=1) < np.linalg.norm(at_ca - mesh.vertices[b], axis=1)
        add(two[first], positive[b[first]], ab[first], b[first], c[first])
        add(two[first], positive[b[first]], ab[first], c[first], ca[first])
        other = ~first
        add(two[other], positive[b[other]], ab[other], b[other], ca[other])
        add(two[other], positive[b[other]], ca[other], b[other], c[other])
    finer = _Mesh(step @ mesh.vertices, np.concatenate(faces), csr_matrix(step @ mesh.origin))
    on_line = np.arange(count + len(ends)) >= count
    return finer, np.concatenate(owners), np.concatenate(sides), on_line


def _without_islands(mesh: _Mesh, rest: np.ndarray, field: np.ndarray, smallest: float) -> np.ndarray:
    """The field [n] with its sign turned on small pieces of the triangles marked `rest`, the smallest first."""
    faces = mesh.triangles[rest]
    area = np.bincount(faces.ravel(), np.repeat(triangle_areas(mesh.vertices, faces) / 3, 3), len(field))
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    used = np.zeros(len(field), bool)
    used[faces] = True
    field = field.copy()
    while True:
        same = (field[edges[:, 0]] > 0) == (field[edges[:, 1]] > 0)
        links = coo_matrix((np.ones(int(same.sum())), edges[same].T), shape=(len(field), len(field)))
        _, label = connected_components(links, directed=False)
        size = np.bincount(label, area)
        # A piece goes to its neighbours if none of them is smaller; one without neighbours has no one to go to.
        rank = np.empty(len(size), int)
        rank[np.argsort(size, kind="stable")] = np.arange(len(size))
        pairs = label[np.concatenate([edges[~same], edges[~same][:, ::-1]])]
        least = np.full(len(size), -1)
        least[pairs[:, 0]] = len(size)
        np.minimum.at(least, pairs[:, 0], rank[pairs[:, 1]])
        small = (size < smallest) & (rank < least)
        if not small.any():
            return field
        turned = used & small[label]
        field[turned] = np.where(field[turned] > 0, -1.0, 1.0) * np.maximum(np.abs(field[turned]), 1e-12)


def _piece(mesh: _Mesh, kept: np.ndarray) -> Piece:
    used, renumbered = np.unique(mesh.triangles[kept], return_inverse=True)
    return Piece(mesh.vertices[used], renumbered.reshape(-1, 3), csr_matrix(mesh.origin[used]))
