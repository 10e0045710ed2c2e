from __future__ import annotations

import numpy as np
from portrait_head.head_model.topology import QuadGraph, border_edges, grid, patches, spokes


def _sheet(rows: int, columns: int) -> np.ndarray:
    """Quads of a sheet of rows x columns faces; vertex r * (columns + 1) + c."""
    table = np.arange((rows + 1) * (columns + 1)).reshape(rows + 1, columns + 1)
    return np.stack([table[:-1, :-1], table[:-1, 1:], table[1:, 1:], table[1:, :-1]], axis=-1).reshape(-1, 4)


def test_a_walk_goes_straight_on_until_the_border():
    graph = QuadGraph(_sheet(3, 4))
    assert graph.spoke(6, 7, 10) == [6, 7, 8, 9]
    assert graph.straight_on(8, 9) is None


def test_a_tube_has_loops_and_spokes():
    around, along = 6, 3
    table = np.arange(around * (along + 1)).reshape(along + 1, around)
    quads = np.stack(
        [table[:-1], np.roll(table, -1, axis=1)[:-1], np.roll(table, -1, axis=1)[1:], table[1:]], axis=-1
    ).reshape(-1, 4)
    graph = QuadGraph(quads)
    ring = graph.loop(6, 7)
    assert ring == [6, 7, 8, 9, 10, 11]
    np.testing.assert_array_equal(spokes(graph, np.array(ring), table[0].tolist(), 3), table[1:].T)
    assert len(border_edges(quads)) == 2 * around


def test_a_patch_becomes_a_table_from_any_corner():
    quads = _sheet(2, 3)
    np.testing.assert_array_equal(grid(quads, 0, 1), np.arange(12).reshape(3, 4))
    np.testing.assert_array_equal(grid(quads, 11, 7), np.arange(12).reshape(3, 4)[::-1, ::-1].T)


def test_patches_that_do_not_touch_are_told_apart():
    one = _sheet(2, 2)
    np.testing.assert_array_equal(patches(np.concatenate([one, one + 9])), [0, 0, 0, 0, 1, 1, 1, 1])
