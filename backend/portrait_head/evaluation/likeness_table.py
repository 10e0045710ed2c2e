"""Does an independent face network know the person again? Every face of some photos against every head."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from portrait_head import storage
from portrait_head.asset import HeadAsset, read_asset
from portrait_head.evaluation.likeness import SAME_PERSON, distance, embedding, points_of_mesh
from portrait_head.head_pictures import picture
from portrait_head.photo.faces import find_faces
from portrait_head.pipeline import generate
from portrait_head.request import HeadRequest
from portrait_head.stages.portrait import Portrait

YAWS = (0, 15, -15, 30, -30)
PICTURE_SIZE = 512


@dataclass(frozen=True)
class Person:
    """One face of one photo and the head made of it."""

    name: str
    photo: np.ndarray  # [128] embedding of the photo
    views: dict[int, np.ndarray]  # [128] embedding of the head by yaw
    yaw: float  # degrees that the head is turned in the photo
    report: dict[str, Any]


def evaluate_likeness(photos: tuple[str, ...], output: Path, texture_size: int = 2048) -> dict[str, Any]:
    """Make the head of every face in `photos` and compare; writes `likeness.json` and the pictures into `output`.

    Returns:
        `people`: for each its distance at every yaw, the distance to the nearest other photo, and the fit's figures;
        `worst`: the largest own distance; `nearest_own`: the share of views that are nearest to their own photo.
    """
    output.mkdir(parents=True, exist_ok=True)
    people = [person for photo in photos for person in _people(photo, output, texture_size)]
    rows, right = [], 0
    for person in people:
        own = {yaw: distance(person.photo, view) for yaw, view in person.views.items()}
        others = {
            yaw: min((distance(other.photo, view) for other in people if other is not person), default=float("inf"))
            for yaw, view in person.views.items()
        }
        right += sum(own[yaw] < others[yaw] for yaw in own)
        rows.append(
            {
                "name": person.name,
                "photo_yaw": person.yaw,
                "distance": {str(yaw): round(value, 3) for yaw, value in own.items()},
                "nearest_other": {str(yaw): round(value, 3) for yaw, value in others.items() if np.isfinite(value)},
                "ssim": person.report["texture"]["ssim"],
                **person.report["fit"],
                "total_seconds": person.report["total_seconds"],
                "warnings": person.report["warnings"],
            }
        )
    result = {
        "threshold": SAME_PERSON,
        "worst": max(max(row["distance"].values()) for row in rows),
        "nearest_own": right / (len(people) * len(YAWS)),
        "people": rows,
    }
    (output / "likeness.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    return result


def _people(photo: str, output: Path, texture_size: int) -> list[Person]:
    people, count, face = [], 1, 1
    while face <= count:
        name = f"{Path(photo).stem}_{face}"
        folder = output / name
        asset_folder = generate(HeadRequest(photos=(photo,), face=face, texture_size=texture_size), folder)
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        portrait = storage.load(folder / "01_portrait", Portrait)
        count = len(portrait.faces)
        asset = read_asset(asset_folder)
        views = _views(asset, folder)
        photo_embedding = embedding(portrait.image, points_of_mesh(portrait.landmarks))
        people.append(Person(name, photo_embedding, views, asset.photo_pose.yaw, report))
        face += 1
    return people


def _views(asset: HeadAsset, folder: Path) -> dict[int, np.ndarray]:
    """The head in the photo's expression at every yaw, with the pictures kept beside the job."""
    found = {}
    for yaw in YAWS:
        image = picture(asset, yaw, asset.photo_pose.expression, PICTURE_SIZE)
        cv2.imwrite(str(folder / f"view_{yaw:+03d}.png"), image[..., ::-1])
        face = find_faces(image)[0]
        found[yaw] = embedding(image, points_of_mesh(face.landmarks))
    return found
