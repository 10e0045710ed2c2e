"""Walking along the edges of a quad mesh: loops round the eyes, the mouth and the neck, and the spokes across them."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np


class QuadGraph:
    """The edges of a quad mesh.

    Args:
        quads: [F, 4] vertex indices.
    """

    def __init__(self, quads: np.ndarray) -> None:
        self._corners: list[list[int]] = quads.tolist()
        self.faces_at: dict[int, list[int]] = {}
        for face, corners in enumerate(self._corners):
            for corner in corners:
                self.faces_at.setdefault(corner, []).append(face)

    def neighbours(self, vertex: int) -> set[int]:
        """The vertices at the other ends of a vertex's edges."""
        found = set()
        for face in self.faces_at[vertex]:
            corners = self._corners[face]
            place = corners.index(vertex)
            found |= {corners[place - 1], corners[(place + 1) % 4]}
        return found

    def faces_beside(self, one: int, other: int) -> list[int]:
        """The faces on both sides of the edge between two vertices."""
        return [face for face in self.faces_at[one] if other in self._corners[face]]

    def straight_on(self, before: int, here: int) -> int | None:
        """Where a walk that came to `here` from `before` leaves: by the edge that shares no face with that one.

        None at the mesh's border and at vertices without four edges.
        """
        beside = {corner for face in self.faces_beside(here, before) for corner in self._corners[face]}
        ahead = self.neighbours(here) - beside
        return ahead.pop() if len(ahead) == 1 else None

    def loop(self, start: int, towards: int) -> list[int]:
        """The closed walk straight on from `start`, first to `towards`; empty where it does not come back."""
        walked = [start]
        before, here = start, towards
        while here != start:
            walked.append(here)
            after = self.straight_on(before, here)
            if after is None or len(walked) > len(self.faces_at):
                return []
            before, here = here, after
        return walked

    def closed_path(self, edges: Collection[tuple[int, int]]) -> list[int]:
        """The vertices of a set of edges that form one closed line, in order, from the lowest index on."""
        ends: dict[int, list[int]] = {}
        for one, other in edges:
            ends.setdefault(one, []).append(other)
            ends.setdefault(other, []).append(one)
        start = min(ends)
        path, here, before = [start], min(ends[start]), start
        while here != start:
            path.append(here)
            before, here = here, next(end for end in ends[here] if end != before)
        return path

    def spoke(self, start: int, towards: int, length: int) -> list[int]:
        """At most `length` vertices of the walk straight on from `start`, which counts, by way of `towards`."""
        walked = [start]
        before, here = start, towards
        while len(walked) < length:
            walked.append(here)
            after = self.straight_on(before, here)
            if after is None:
                break
            before, here = here, after
        return walked


def spokes(graph: QuadGraph, loop: np.ndarray, avoid: Collection[int], length: int) -> np.ndarray:
    """The walks that leave a closed loop to one side.

    Args:
        graph: of the whole mesh.
        loop: [N] vertices in order.
        avoid: vertices on the other side of the loop.
        length: vertices in a spoke, its start on the loop included.

    Returns:
        [N, length] int32; a spoke that ends early repeats its last vertex.
    """
    on_loop = set(loop.tolist())
    other_side = set(avoid)
    rows = []
    for start in loop.tolist():
        (towards,) = sorted(graph.neighbours(start) - on_loop - other_side)[:1]
        walked = graph.spoke(start, towards, length)
        rows.append(walked + [walked[-1]] * (length - len(walked)))
    return np.array(rows, dtype=np.int32)


def border_edges(quads: np.ndarray) -> list[tuple[int, int]]:
    """Edges (low, high) that belong to one face only."""
    edges = np.sort(np.stack([quads, np.roll(quads, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    return [(int(one), int(other)) for one, other in unique[count == 1]]


def shared_edges(quads: np.ndarray, others: np.ndarray) -> list[tuple[int, int]]:
    """Edges (low, high) between a face of `quads` and one of `others`."""

    def edges(faces: np.ndarray) -> set[tuple[int, int]]:
        pairs = np.sort(np.stack([faces, np.roll(faces, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1)
        return set(map(tuple, pairs.tolist()))

    return sorted(edges(quads) & edges(others))


def grid(quads: np.ndarray, start: int, towards: int) -> np.ndarray:
    """A rectangular patch of quads as a table of its vertices.

    Args:
        quads: [R * C, 4], nothing but the patch.
        start: one of its four corners.
        towards: the neighbour of `start` along the first row.

    Returns:
        [R + 1, C + 1] int32, first row from `start` by way of `towards`.
    """
    graph = QuadGraph(quads)
    (down,) = graph.neighbours(start) - {towards}
    rows = [graph.spoke(start, towards, len(graph.faces_at))]
    for vertex in graph.spoke(start, down, len(graph.faces_at))[1:]:
        above = rows[-1]
        (face,) = graph.faces_beside(vertex, above[0])
        (step,) = set(quads[face].tolist()) - {vertex, above[0], above[1]}
        rows.append(graph.spoke(vertex, step, len(above)))
    return np.array(rows, dtype=np.int32)


def patches(quads: np.ndarray) -> np.ndarray:
    """[F] int32 label of the connected patch that each face belongs to, counted by first face."""
    graph = QuadGraph(quads)
    label = np.full(len(quads), -1, dtype=np.int32)
    for face in range(len(quads)):
        if label[face] >= 0:
            continue
        stack = [face]
        label[face] = label.max() + 1
        while stack:
            for corner in quads[stack.pop()].tolist():
                fresh = [other for other in graph.faces_at[corner] if label[other] < 0]
                label[fresh] = label[face]
                stack.extend(fresh)
    return label


def lash_table(vertices: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """A strip of lashes as a table [5, N] int32 of its vertices, roots first, from the subject's right to the left.

    Args:
        vertices: [V, 3] with the face along +Z.
        quads: [F, 4] of the strip.
    """
    graph = QuadGraph(quads)
    roots = []
    for corner in np.flatnonzero(np.bincount(quads.ravel()) == 1).tolist():
        hair, lid = sorted(
            (graph.spoke(corner, towards, len(graph.faces_at)) for towards in graph.neighbours(corner)), key=len
        )
        if vertices[corner, 2] < vertices[hair[-1], 2]:
            roots.append((corner, lid[1]))
    start, towards = min(roots, key=lambda root: vertices[root[0], 0])
    return grid(quads, start, towards)
