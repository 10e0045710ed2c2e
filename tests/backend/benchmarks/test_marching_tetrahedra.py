import torch
from portrait_head.benchmarks.marching_tetrahedra import measure, unique_edges
from portrait_head.geometry.marching_tetrahedra import marching_tetrahedra
from portrait_head.geometry.tet_grid import TetGrid


def test_the_reference_makes_the_same_surface() -> None:
    grid = TetGrid((0.0, 0.0, 0.0), 0.01, (14, 12, 13), torch.device("cpu"))
    sdf = 0.045 - (grid.vertices - torch.tensor([0.003, -0.002, 0.001])).norm(dim=1)
    ours = marching_tetrahedra(grid.tetrahedra, sdf)
    vertices, triangles = unique_edges(grid.vertices, grid.tetrahedra.tets.long(), sdf)
    assert vertices.shape == ours.vertices.shape
    assert triangles.shape == ours.triangles.shape
    middles = [corners.mean(dim=1) for corners in (vertices[triangles], ours.vertices[ours.triangles.long()])]
    distance = torch.cdist(middles[0], middles[1], compute_mode="donot_use_mm_for_euclid_dist")
    assert float(distance.amin(dim=1).max()) < 1e-5
    assert float(distance.amin(dim=0).max()) < 1e-5


def test_both_sides_descend_to_the_same_field_and_the_band_is_faster() -> None:
    threads = torch.get_num_threads()
    (line,) = measure(resolutions=(48,), rounds=3, steps=2)
    assert line["resolution"] == 48
    assert line["fields_differ_by_cells"] < 1e-3
    assert line["ratio"] > 1
    assert torch.get_num_threads() == threads
