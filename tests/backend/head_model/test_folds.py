from __future__ import annotations

import numpy as np
from portrait_head.head_model.folds import FoldSmoother, halves_agree

ROWS = 6


def _sheet() -> tuple[np.ndarray, np.ndarray]:
    table = np.arange(ROWS * ROWS).reshape(ROWS, ROWS)
    quads = np.stack([table[:-1, :-1], table[:-1, 1:], table[1:, 1:], table[1:, :-1]], axis=-1).reshape(-1, 4)
    y, x = np.meshgrid(np.arange(ROWS), np.arange(ROWS), indexing="ij")
    return quads, np.stack([x.ravel(), y.ravel(), np.zeros(ROWS * ROWS)], axis=1).astype(np.float64)


def test_a_flat_sheet_has_no_folds():
    quads, vertices = _sheet()
    assert halves_agree(quads, vertices).all()


def test_a_vertex_pulled_across_its_quad_is_smoothed_out():
    quads, vertices = _sheet()
    folds = FoldSmoother(quads, vertices)
    delta = np.zeros_like(vertices)
    delta[2 * ROWS + 2] = [1.6, 0.2, 0.0]
    assert len(folds.folded(delta)) > 0
    folds.smooth(delta)
    assert len(folds.folded(delta)) == 0


def test_motion_without_folds_is_left_alone():
    quads, vertices = _sheet()
    delta = 0.3 * vertices
    kept = delta.copy()
    FoldSmoother(quads, vertices).smooth(delta)
    np.testing.assert_array_equal(delta, kept)
