"""Carving that begins with a mesh of the user's."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from portrait_head import pipeline
from portrait_head.cli import main
from portrait_head.geometry.nearest import SurfaceIndex
from portrait_head.head_model import load_head_model, load_landmark_table
from portrait_head.request import HeadRequest
from portrait_head.stages.sculpt import Sculpt

from tests.backend.geometry.drawn_hair import draw
from tests.backend.stages.sculpting import sculpt

trimesh = pytest.importorskip("trimesh")

BUMP = 0.015  # metres by which the given head is longer behind
UNIT = 100.0  # it comes in centimetres


def longer_head() -> tuple[np.ndarray, np.ndarray]:
    """The head model's skin [V, 3] metres with a longer back of the head, and its triangles."""
    model = load_head_model()
    first, stop = model.part("skin").vertices
    vertices = model.vertices[first:stop].astype(np.float64).copy()
    behind = np.clip((0.0 - vertices[:, 2]) / 0.06, 0, 1) * np.clip((vertices[:, 1] + 0.03) / 0.05, 0, 1)
    vertices[:, 2] -= BUMP * behind * behind * (3 - 2 * behind)
    triangles = model.triangles()
    return vertices, triangles[(triangles < stop).all(axis=1)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """As PanoHead leaves it behind: the mesh and its landmarks."""
    folder = tmp_path_factory.mktemp("given")
    vertices, triangles = longer_head()
    trimesh.Trimesh(vertices * UNIT, triangles, process=False).export(folder / "init_mesh.ply")
    landmarks = load_landmark_table().positions(load_head_model().vertices.astype(np.float64))
    np.savetxt(folder / "laion.txt", landmarks * UNIT)
    return folder


@pytest.fixture(scope="module")
def carved(folder) -> tuple[Sculpt, Sculpt]:
    """Without the mesh and with it."""
    bald = draw("bald")
    request = HeadRequest(photos=("drawn.png",), initial_mesh=str(folder))
    return sculpt(bald), sculpt(bald, request)


def test_the_back_of_the_head_is_the_meshes_and_the_front_the_photos(carved):
    plain, given = carved
    vertices, triangles = longer_head()
    behind = given.vertices[(given.vertices[:, 2] < -0.06) & (given.vertices[:, 1] > 0.03)]
    assert len(behind) > 100
    assert np.median(SurfaceIndex(vertices, triangles).nearest(behind).distance) < 0.002
    assert given.vertices[:, 2].min() == pytest.approx(plain.vertices[:, 2].min() - BUMP, abs=0.004)
    assert given.vertices[:, 2].max() == pytest.approx(plain.vertices[:, 2].max(), abs=0.003)


def test_its_licence_is_said(carved):
    plain, given = carved
    assert not any("PanoHead" in warning for warning in plain.warnings)
    assert any("PanoHead" in warning and "commercial" in warning for warning in given.warnings)


def test_the_sculpt_is_done_again_for_another_mesh_and_not_for_another_path(folder, tmp_path):
    def sculpting(path: str) -> str:
        return next(stage.models for stage in pipeline._begun_with(path, pipeline.STAGES) if stage.name == "sculpt")

    (tmp_path / "copy.ply").write_bytes((folder / "init_mesh.ply").read_bytes())
    (tmp_path / "other.ply").write_bytes((folder / "init_mesh.ply").read_bytes()[:-1])
    alone = sculpting(str(tmp_path / "copy.ply"))
    assert len({"", sculpting(""), alone, sculpting(str(tmp_path / "other.ply")), sculpting(str(folder))}) == 4
    (tmp_path / "copy.ply").rename(tmp_path / "moved.ply")
    assert sculpting(str(tmp_path / "moved.ply")) == alone


def test_a_mesh_that_is_not_there_is_said_before_anything_runs(tmp_path, capsys):
    job = tmp_path / "job"
    assert main(["generate", "--sample", "--initial-mesh", str(tmp_path / "no.ply"), "--output", str(job), "--json"])
    (line,) = capsys.readouterr().out.splitlines()
    error = json.loads(line)
    assert error["kind"] == "mesh_missing" and "no.ply" in error["message"] and error["hint"]
    assert not job.exists()
