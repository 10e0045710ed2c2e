"""Stage 7: the head asset, ready for Blender and game engines."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy.spatial import KDTree

import portrait_head
from portrait_head.asset import AssetMesh, Displacement, HeadAsset, Material, PhotoPose, RigBone
from portrait_head.head_model import load_head_model
from portrait_head.head_model.arkit import ARKIT_NAMES
from portrait_head.head_model.model import HeadModel, Part
from portrait_head.progress import Progress
from portrait_head.request import HeadRequest
from portrait_head.stages.expressions import Expressions
from portrait_head.stages.fit import Fit
from portrait_head.stages.free_topology import free_topology
from portrait_head.stages.portrait import Portrait
from portrait_head.stages.sculpt import Sculpt
from portrait_head.stages.texture import Texture
from portrait_head.texturing.ambient import Surroundings
from portrait_head.texturing.bake import MIDLEVEL, BakeConfig, sixteen_bits
from portrait_head.texturing.material_maps import Carved, hair_maps, head_maps
from portrait_head.texturing.skin import faces_of

# Name, alpha, roughness (where no map says more), specular, subsurface. Specular is reflection / 8 %, from an index of
# refraction of 1.4 for skin and 1.48 for the oil on the tear film. Hair is blended: cut out at one half, its edge would
# stand off the skin with a dark line under it; and it reflects less than keratin, as strands hide each other.
MATERIALS = (
    ("skin", "opaque", 0.5, 0.35, 0.15),
    ("eyes", "opaque", 0.12, 0.47, 0.0),
    ("mouth", "opaque", 0.3, 0.5, 0.05),
    ("lashes", "blend", 0.7, 0.2, 0.0),
    ("hair", "blend", 0.55, 0.3, 0.0),
)
OPENED = {"jawOpen": 0.6, "eyeBlinkLeft": 1.0, "eyeBlinkRight": 1.0}  # what frees most of what touches at rest
LICENCES = (
    "Head model: MakeHuman base mesh and targets, CC0 1.0",
    "Identity prior: derived from ICT-FaceKit, MIT, copyright 2020 USC Institute for Creative Technologies",
    "Face landmarks and segmentation: MediaPipe, Apache-2.0",
)


def run(
    request: HeadRequest,
    portrait: Portrait,
    fit: Fit,
    sculpt: Sculpt,
    texture: Texture,
    expressions: Expressions,
    progress: Progress,
) -> HeadAsset:
    """Put geometry, expressions, textures and rig together."""
    model, fit = load_head_model(), sculpt.refine(fit)
    meshes = [_head(model, fit.neutral, expressions.deltas)]
    if len(sculpt.hair_triangles):
        meshes.append(_hair(model, fit.neutral, sculpt, texture.hair_uvs))
    progress(0.1)
    maps, displacement = _maps(model, request, fit, sculpt, texture, expressions)
    progress(0.8)
    images = {
        "skin": texture.skin,
        "eyes": texture.eyes,
        "mouth": texture.mouth,
        "lashes": texture.lashes,
        "hair": texture.hair,
    }
    materials = tuple(
        Material(name, images[name], alpha, roughness, specular, subsurface, *maps.get(name, (None, None)))
        for name, alpha, roughness, specular, subsurface in MATERIALS
        if name != "hair" or len(sculpt.hair_triangles)
    )
    if request.free_topology:
        free, material = free_topology(model, fit, sculpt, texture, meshes[0], materials)
        meshes, materials = [*meshes, *free], (*materials, material)
    yaw, pitch, roll = fit.camera.head_angles()
    return HeadAsset(
        name=Path(request.photos[0]).stem,
        meshes=tuple(meshes),
        materials=materials,
        bones=tuple(
            RigBone(bone.name, bone.parent, _mean(fit.neutral, bone.head), _mean(fit.neutral, bone.tail))
            for bone in model.bones
        ),
        photo_pose=PhotoPose(
            picture=portrait.image,
            expression={name: round(float(value), 4) for name, value in zip(ARKIT_NAMES, fit.expression, strict=True)},
            yaw=round(yaw, 2),
            pitch=round(pitch, 2),
            roll=round(roll, 2),
            camera=fit.camera,
        ),
        generator=f"portrait-head {portrait_head.__version__}",
        photo=Path(request.photos[0]).name,
        licences=LICENCES,
        displacement=displacement,
    )


def _maps(
    model: HeadModel, request: HeadRequest, fit: Fit, sculpt: Sculpt, texture: Texture, expressions: Expressions
) -> tuple[dict[str, tuple[np.ndarray | None, np.ndarray]], Displacement]:
    """Normals and packed map by the material's name, and the skin's displacement."""
    rest = fit.neutral.astype(np.float64)
    around = Surroundings(
        vertices=rest,
        opened=rest + sum(weight * expressions.deltas[ARKIT_NAMES.index(name)] for name, weight in OPENED.items()),
        quads=model.quads,
        hiding=faces_of(model, "skin", "eyes", "mouth"),
        hair=(sculpt.hair_vertices, sculpt.hair_triangles),
    )
    carved = Carved(sculpt.vertices, sculpt.triangles, sculpt.hair)
    head = head_maps(model, around, carved, texture.skin, texture.confidence, request.seed)
    found = {"skin": head.skin, "eyes": head.eyes, "mouth": head.mouth}
    if len(sculpt.hair_triangles):
        found["hair"] = hair_maps(texture.hair, request.seed)
    displacement = Displacement("skin", sixteen_bits(head.displacement), BakeConfig().range, MIDLEVEL)
    return {name: (maps.normal, maps.orm) for name, maps in found.items()}, displacement


def _head(model: HeadModel, neutral: np.ndarray, deltas: np.ndarray) -> AssetMesh:
    names = [name for name, *_ in MATERIALS]
    material = np.empty(len(model.quads), np.int32)
    for part in model.parts:
        material[slice(*part.faces)] = names.index(part.material)
    return AssetMesh(
        name="head",
        vertices=neutral.astype(np.float32),
        faces=model.quads,
        uvs=model.uvs,
        material=material,
        joints=model.joints,
        weights=model.weights,
        shape_keys=deltas.astype(np.float32),
        parts=model.parts,
    )


def _hair(model: HeadModel, neutral: np.ndarray, sculpt: Sculpt, uvs: np.ndarray) -> AssetMesh:
    """Hair moves with the skin under it."""
    skin = np.arange(*model.part("skin").vertices)
    _, nearest = KDTree(neutral[skin]).query(sculpt.hair_vertices)
    count = len(sculpt.hair_triangles)
    quads = np.concatenate([sculpt.hair_triangles, np.full((count, 1), -1)], axis=1).astype(np.int32)
    corners = np.concatenate([uvs, np.zeros((count, 1, 2))], axis=1).astype(np.float32)
    return AssetMesh(
        name="hair",
        vertices=sculpt.hair_vertices.astype(np.float32),
        faces=quads,
        uvs=corners,
        material=np.full(count, len(MATERIALS) - 1, np.int32),
        joints=model.joints[skin[nearest]],
        weights=model.weights[skin[nearest]],
        shape_keys=np.zeros((0, len(sculpt.hair_vertices), 3), np.float32),
        parts=(Part("hair", "hair", (0, len(sculpt.hair_vertices)), (0, count)),),
    )


def _mean(vertices: np.ndarray, indices: tuple[int, ...]) -> tuple[float, ...]:
    return tuple(round(float(value), 6) for value in vertices[list(indices)].mean(axis=0))
