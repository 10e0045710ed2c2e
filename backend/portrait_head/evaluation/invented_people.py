"""Portraits of people who do not exist, for galleries: another head and other colours under the sample's hair.

    python -m portrait_head.evaluation.invented_people --job out/sample/job --output people/

takes a finished job of the sample portrait (public domain), gives its head an identity drawn from the prior, tints skin
and hair, and takes a picture of it. No photograph of a real person but the sample goes in.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from scipy.spatial import KDTree

from portrait_head.asset import AssetMesh, HeadAsset, Material, read_asset
from portrait_head.head_model import load_head_model, load_identity_prior
from portrait_head.head_model.expressions import carry_expressions
from portrait_head.head_model.rest import settle
from portrait_head.head_pictures import surfaces
from portrait_head.rendering.lighting import linear_to_bytes, srgb_to_linear
from portrait_head.rendering.preview import orbit_camera, render

SIZE = 1024
HALF_HEIGHT = 0.24  # metres: room around the hair
PLAIN = (1.0, 1.0, 1.0)
NEIGHBOURS = 12  # skin vertices that a hair vertex follows


@dataclass(frozen=True)
class Invented:
    """A person: the seed of the identity, how far from the mean, linear factors for the colours; hair may be None."""

    name: str
    seed: int
    strength: float
    skin: tuple[float, float, float]
    hair: tuple[float, float, float] | None
    yaw: float
    smile: float
    backdrop: tuple[float, float, float]


PEOPLE = (
    Invented("ada", 3, 0.9, (0.46, 0.36, 0.30), (0.10, 0.10, 0.12), 12.0, 0.25, (0.30, 0.33, 0.36)),
    Invented("ben", 11, 0.9, (0.95, 0.93, 0.92), (1.6, 1.2, 0.8), -15.0, 0.2, (0.20, 0.26, 0.24)),
    Invented("sam", 27, 0.9, (0.80, 0.70, 0.58), None, 4.0, 0.15, (0.55, 0.52, 0.48)),
)


def invent(sample: HeadAsset, person: Invented) -> HeadAsset:
    """The sample's head with another identity and other colours."""
    model, prior = load_head_model(), load_identity_prior()
    scores = np.random.default_rng(person.seed).normal(size=len(prior.modes)) * person.strength
    neutral = settle(model, model.identified(prior.mean + scores @ prior.modes))
    head = sample.meshes[0]
    meshes = [replace(head, vertices=neutral, shape_keys=carry_expressions(model, neutral))]
    if person.hair is not None:
        meshes += [_follow(mesh, head.vertices, neutral) for mesh in sample.meshes[1:]]
    factors = {"skin": person.skin, "hair": person.hair or PLAIN}
    materials = tuple(_tinted(material, factors.get(material.name, PLAIN)) for material in sample.materials)
    return replace(sample, name=person.name, meshes=tuple(meshes), materials=materials)


def portrait(asset: HeadAsset, person: Invented) -> np.ndarray:
    """A picture [SIZE, SIZE, 3] uint8 of the invented person."""
    expression = {"mouthSmileLeft": person.smile, "mouthSmileRight": person.smile}
    camera = orbit_camera(person.yaw, 3.0, SIZE, np.array([0.0, 0.0, 0.0]), HALF_HEIGHT)
    return render(surfaces(asset, expression), camera, person.backdrop)


def _follow(mesh: AssetMesh, before: np.ndarray, after: np.ndarray) -> AssetMesh:
    """A mesh over the head, moved as the skin under it moved."""
    distance, nearest = KDTree(before).query(mesh.vertices, k=NEIGHBOURS)
    weight = 1.0 / (distance + 1e-3)
    moved = (weight[..., None] * (after - before)[nearest]).sum(axis=1) / weight.sum(axis=1, keepdims=True)
    return replace(mesh, vertices=(mesh.vertices + moved).astype(np.float32))


def _tinted(material: Material, factors: tuple[float, float, float]) -> Material:
    image = material.base_color.copy()
    image[..., :3] = linear_to_bytes(srgb_to_linear(image[..., :3]) * np.array(factors, np.float32))
    return replace(material, base_color=image)


def main() -> None:
    """Write a portrait of every invented person."""
    parser = argparse.ArgumentParser(description="Portraits of people who do not exist.")
    parser.add_argument("--job", type=Path, required=True, help="a finished job of the sample portrait")
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    sample = read_asset(options.job / "asset")
    for person in PEOPLE:
        image = portrait(invent(sample, person), person)
        cv2.imwrite(str(options.output / f"{person.name}.png"), image[..., ::-1])


if __name__ == "__main__":
    main()
