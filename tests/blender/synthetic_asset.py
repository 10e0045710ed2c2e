# SPDX-License-Identifier: GPL-3.0-or-later
"""A small head asset made from formulas: an ellipsoid of quads with eyes, lashes, a hair shell, keys and a rig.

It follows the format to the letter and is small, so that the Blender tests are quick and need no backend.
"""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from addon.scene.arkit import ARKIT_NAMES

RADII = np.array([0.075, 0.12, 0.095])
ROWS, COLUMNS = 48, 64
EYE_LEFT, EYE_RIGHT = np.array([0.032, 0.03, 0.075]), np.array([-0.032, 0.03, 0.075])
MOUTH = np.array([0.0, -0.05, 0.085])
BONES = (
    ("root", None, (0, -0.2, 0), (0, -0.12, 0)),
    ("neck", "root", (0, -0.12, 0), (0, 0, 0)),
    ("head", "neck", (0, 0, 0), (0, 0.12, 0)),
    ("jaw", "head", (0, -0.03, 0.02), (0, -0.09, 0.08)),
    ("eye.L", "head", tuple(EYE_LEFT), tuple(EYE_LEFT + [0, 0, 0.03])),
    ("eye.R", "head", tuple(EYE_RIGHT), tuple(EYE_RIGHT + [0, 0, 0.03])),
)


def write_png(path: Path, pixels: np.ndarray) -> None:
    """Writes pixels [H, W, 3 or 4] uint8."""
    height, width, channels = pixels.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + row.tobytes() for row in np.ascontiguousarray(pixels))
    header = struct.pack(">IIBBBBB", width, height, 8, 2 if channels == 3 else 6, 0, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    )


def ellipsoid(radii: np.ndarray, rows: int, columns: int, top: float = 0.0) -> tuple[np.ndarray, ...]:
    """Vertices, faces (triangles at the poles) and corner UVs of an ellipsoid about the origin, poles along Y."""
    polar = np.linspace(top, np.pi, rows + 1)[1:-1]
    around = np.arange(columns) * 2 * np.pi / columns
    ring = np.stack(
        [
            np.sin(polar)[:, None] * np.sin(around),
            np.cos(polar)[:, None] * np.ones(columns),
            np.sin(polar)[:, None] * np.cos(around),
        ],
        axis=-1,
    ).reshape(-1, 3)
    vertices = np.concatenate([[[0, 1, 0]], ring, [[0, -1, 0]]]) * radii
    last = len(vertices) - 1
    faces, uvs = [], []
    for column in range(columns):
        after = (column + 1) % columns
        left, right = column / columns, (column + 1) / columns
        faces.append((0, 1 + column, 1 + after, -1))
        uvs.append(((left, 1), (left, 1 - 1 / rows), (right, 1 - 1 / rows), (0, 0)))
        for row in range(rows - 2):
            first = 1 + row * columns
            faces.append((first + column, first + columns + column, first + columns + after, first + after))
            above, below = 1 - (row + 1) / rows, 1 - (row + 2) / rows
            uvs.append(((left, above), (left, below), (right, below), (right, above)))
        first = 1 + (rows - 2) * columns
        faces.append((first + column, last, first + after, -1))
        uvs.append(((left, 1 / rows), (left, 0), (right, 1 / rows), (0, 0)))
    return vertices, np.array(faces), np.array(uvs, dtype=float)


def bump(vertices: np.ndarray, centre: np.ndarray, reach: float) -> np.ndarray:
    """Weight [V, 1] that falls from 1 at `centre` to exactly 0 beyond three times `reach`."""
    distance = np.linalg.norm(vertices - centre, axis=1, keepdims=True)
    return np.where(distance < 3 * reach, np.exp(-((distance / reach) ** 2)), 0.0)


def shape_keys(vertices: np.ndarray) -> np.ndarray:
    """Deltas [52, V, 3]: three that mean something, and seeded bumps for the rest."""
    random = np.random.default_rng(7)
    deltas = np.zeros((len(ARKIT_NAMES), len(vertices), 3))
    front = vertices[vertices[:, 2] > 0.03]
    for index in range(len(ARKIT_NAMES)):
        centre = front[random.integers(len(front))]
        deltas[index] = bump(vertices, centre, 0.015) * random.normal(scale=0.006, size=3)
    deltas[ARKIT_NAMES.index("jawOpen")] = bump(vertices, MOUTH - [0, 0.03, 0], 0.02) * [0, -0.02, -0.005]
    deltas[ARKIT_NAMES.index("eyeBlinkLeft")] = bump(vertices, EYE_LEFT + [0, 0, 0.01], 0.010) * [0, -0.006, 0.008]
    corner = MOUTH + [0.025, 0, -0.01]
    deltas[ARKIT_NAMES.index("mouthSmileLeft")] = bump(vertices, corner, 0.012) * [0.006, 0.010, 0.004]
    return deltas


def checker(first: tuple[int, ...], second: tuple[int, ...], size: int = 128, squares: int = 16) -> np.ndarray:
    """A chequered picture [size, size, C], so that any movement of the surface shows."""
    cells = np.add.outer(np.arange(size), np.arange(size) * 0) * squares // size
    odd = (cells + cells.T) % 2
    return np.where(odd[..., None] == 1, np.array(first), np.array(second)).astype(np.uint8)


def maps(material: str) -> dict[str, dict[str, str]]:
    """The maps of a material: all three for skin and eyes, else the base colour alone."""
    found = {"base_color": {"file": f"{material}.png", "color_space": "sRGB"}}
    if material in ("skin", "eyes"):
        found |= {kind: {"file": f"{material}_{kind}.png", "color_space": "Non-Color"} for kind in ("normal", "orm")}
    return found


def write_asset(folder: Path, hair: bool = True) -> Path:
    """Writes the asset into `folder` (made if need be) and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    write_png(folder / "skin.png", checker((224, 172, 140), (198, 140, 112)))
    write_png(folder / "eyes.png", checker((240, 240, 240), (60, 90, 160), squares=4))
    lashes = checker((20, 15, 10, 255), (20, 15, 10, 0))
    write_png(folder / "lashes.png", lashes)
    write_png(folder / "hair.png", checker((60, 40, 25, 255), (80, 55, 35, 160)))
    bumps = checker((118, 138, 254), (138, 118, 254), squares=8)
    write_png(folder / "skin_normal.png", bumps)
    write_png(folder / "eyes_normal.png", bumps)
    write_png(folder / "skin_orm.png", checker((255, 140, 0), (90, 110, 0)))
    write_png(folder / "eyes_orm.png", checker((255, 10, 0), (230, 40, 0)))
    write_png(folder / "photo.png", checker((120, 130, 150), (100, 110, 130), size=160))

    pieces = []
    for name, material, shift, radii, rows, columns, bone in (
        ("skin", 0, np.zeros(3), RADII, ROWS, COLUMNS, 2),
        ("eye_left", 1, EYE_LEFT, np.full(3, 0.013), 10, 12, 4),
        ("eye_right", 1, EYE_RIGHT, np.full(3, 0.013), 10, 12, 5),
        ("lashes", 2, EYE_LEFT + [0, 0.015, 0.005], np.array([0.015, 0.002, 0.008]), 4, 8, 2),
    ):
        vertices, faces, uvs = ellipsoid(radii, rows, columns)
        pieces.append((name, material, vertices + shift, faces, uvs, bone))
    parts, arrays = [], {"vertices": [], "faces": [], "uvs": [], "material": [], "joints": [], "weights": []}
    count = faces_count = 0
    for name, material, vertices, faces, uvs, bone in pieces:
        arrays["vertices"].append(vertices)
        arrays["faces"].append(np.where(faces >= 0, faces + count, -1))
        arrays["uvs"].append(uvs)
        arrays["material"].append(np.full(len(faces), material))
        joints = np.tile([bone, 1, 3, 0], (len(vertices), 1))
        weights = np.zeros((len(vertices), 4))
        if name == "skin":
            weights[:, 1] = np.clip(-vertices[:, 1] / 0.12, 0, 0.6)
            weights[:, 2] = 0.3 * bump(vertices, MOUTH, 0.03)[:, 0]
            weights[:, 3] = np.clip(-vertices[:, 1] / 0.12, 0, 0.1)
        weights[:, 0] = 1 - weights[:, 1:].sum(axis=1)
        arrays["joints"].append(joints)
        arrays["weights"].append(weights)
        names = ("skin", "eyes", "lashes")
        parts.append(
            {
                "name": name,
                "material": names[material],
                "vertices": [count, count + len(vertices)],
                "faces": [faces_count, faces_count + len(faces)],
            }
        )
        count, faces_count = count + len(vertices), faces_count + len(faces)
    saved = {f"head/{name}": np.concatenate(values) for name, values in arrays.items()}
    saved["head/shape_keys"] = shape_keys(saved["head/vertices"])
    meshes = [{"name": "head", "parts": parts}]
    if hair:
        vertices, faces, uvs = ellipsoid(RADII * [1.06, 1.06, 1.08], 16, 24)
        vertices[:, 2] -= 0.012
        kept = vertices[np.maximum(faces, 0)].mean(axis=1)[:, 1] > 0.045
        meshes.append(
            {"name": "hair", "parts": [{"name": "hair", "material": "hair", "vertices": [0, 1], "faces": [0, 1]}]}
        )
        faces, uvs = faces[kept], uvs[kept]
        used = np.unique(faces[faces >= 0])
        renumbered = np.full(len(vertices) + 1, -1)
        renumbered[used] = np.arange(len(used))
        saved |= {
            "hair/vertices": vertices[used],
            "hair/faces": renumbered[faces],
            "hair/uvs": uvs,
            "hair/material": np.full(len(faces), 3),
            "hair/joints": np.tile([2, 0, 0, 0], (len(used), 1)),
            "hair/weights": np.tile([1.0, 0, 0, 0], (len(used), 1)),
        }
    stored: dict[str, Any] = {
        name: array.astype(np.float32 if array.dtype.kind == "f" else np.int32) for name, array in saved.items()
    }
    np.savez(folder / "arrays.npz", **stored)
    looks = (
        ("skin", "opaque", 0.5, 0.1, 0.5),
        ("eyes", "opaque", 0.2, 0.0, 0.5),
        ("lashes", "blend", 0.6, 0.0, 0.3),
        ("hair", "blend", 0.5, 0.0, 0.5),
    )
    description = {
        "format": 2,
        "name": "Sample",
        "generator": "portrait-head 0.0.0",
        "units": "metres",
        "up": "+Y",
        "front": "+Z",
        "shape_keys": list(ARKIT_NAMES),
        "materials": [
            {"name": n, "maps": maps(n), "alpha": a, "roughness": r, "subsurface": s, "specular": p}
            for n, a, r, s, p in looks
        ],
        "meshes": meshes,
        "rig": {
            "bones": [
                {"name": n, "parent": p, "head": [float(x) for x in h], "tail": [float(x) for x in t]}
                for n, p, h, t in BONES
            ]
        },
        "provenance": {"photo": "sample.png", "licences": ["CC0-1.0"]},
        "lods": [],
        "photo_pose": {
            "expression": {"mouthSmileLeft": 0.5},
            "yaw": 12.0,
            "pitch": -4.0,
            "roll": 3.0,
            "picture": "photo.png",
        },
    }
    (folder / "asset.json").write_text(json.dumps(description, indent=1), encoding="utf-8")
    return folder
