"""Quads that an expression folds over, and how to smooth them out."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

ROUNDS = 24
GROW_EVERY = 6  # rounds after which the neighbours of a stubborn fold are evened out with it
SHARE = 0.5  # of the way to the neighbours' mean motion in a round


class FoldSmoother:
    """Finds quads whose two halves face apart although they do not at rest, and evens out the motion round them.

    Args:
        quads: [F, 4].
        neutral: [V, 3] the head at rest.
    """

    def __init__(self, quads: np.ndarray, neutral: np.ndarray) -> None:
        self._quads = quads
        self._neutral = neutral
        edges = np.stack([quads, np.roll(quads, -1, axis=1)], axis=-1).reshape(-1, 2)
        edges = np.unique(np.concatenate([edges, edges[:, ::-1]]), axis=0)
        count = len(neutral)
        linked = csr_matrix((np.ones(len(edges)), edges.T), shape=(count, count))
        self._mean = linked.multiply(1 / np.maximum(linked.sum(axis=1), 1)).tocsr()
        self._sound = halves_agree(quads, neutral)

    def folded(self, delta: np.ndarray) -> np.ndarray:
        """Indices of the quads that the displacement [V, 3] folds."""
        return np.flatnonzero(self._sound & ~halves_agree(self._quads, self._neutral + delta))

    def smooth(self, delta: np.ndarray) -> None:
        """Move the corners of folded quads more like their neighbours until none is folded, in place."""
        for done in range(ROUNDS):
            folded = self.folded(delta)
            if len(folded) == 0:
                return
            rows = np.unique(self._quads[folded])
            for _ in range(done // GROW_EVERY):
                rows = np.union1d(rows, self._mean[rows].indices)
            delta[rows] += SHARE * (self._mean[rows] @ delta - delta[rows])


def halves_agree(quads: np.ndarray, vertices: np.ndarray) -> np.ndarray:
    """[F] bool, whether the triangles 0 1 2 and 0 2 3 of a quad face the same side."""
    corners = vertices[quads]
    diagonal = corners[:, 2] - corners[:, 0]
    one = np.cross(corners[:, 1] - corners[:, 0], diagonal)
    other = np.cross(diagonal, corners[:, 3] - corners[:, 0])
    return np.einsum("fc,fc->f", one, other) > 0
