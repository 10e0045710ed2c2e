"""Likeness in shape, measured: photographs of people whose true shape is known, reconstructed and compared in mm.

The baseline is the prior's mean face, which needs no photo at all; a fit that does not beat it has learnt nothing from
the picture. Distances alone reward faces that all look alike, so it is also counted whether two very different
photographs of one person give shapes nearer to each other than to anybody else's.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from portrait_head.errors import PortraitHeadError
from portrait_head.evaluation import hard_pairs, ict, point_mesh, skin_paint
from portrait_head.evaluation.hard_pairs import Person
from portrait_head.evaluation.ict import ANCHORS, ANCHORS_MEDIAPIPE, SKIN, KnownHeads
from portrait_head.evaluation.sculpted_shapes import METHODS, SculptErrors, measure_sculpts
from portrait_head.evaluation.surface_distance import Surface, align_surface
from portrait_head.geometry.similarity import fit_similarity
from portrait_head.head_model import load_head_model, load_identity_prior, load_landmark_table
from portrait_head.head_model.model import HeadModel
from portrait_head.progress import Progress
from portrait_head.request import HeadRequest
from portrait_head.stages import fit, portrait

RESULT_NAME = "known_shapes.json"
SHOTS = ("plain", "hard")
MILLIMETRES = 1000.0

Reconstruct = Callable[[Path], np.ndarray]
"""A photo's path to the neutral head [V, 3] in it, vertices of the default head model, metres."""


@dataclass(frozen=True)
class ShapeError:
    """How far one reconstruction is from the truth, millimetres over the visible face.

    Attributes:
        mean, p90: over the face.
        midline: mean over the profile from forehead to chin.
        regions: mean over each region of the face.
    """

    mean: float
    p90: float
    midline: float
    regions: dict[str, float]


def evaluate_known_shapes(
    data: Path,
    people: int,
    output: Path,
    seed: int = 0,
    progress: Callable[[float], None] | None = None,
    reconstruct: Reconstruct | None = None,
    sculpt: bool = False,
) -> dict:
    """Reconstruct `people` invented people from two photographs each and write `known_shapes.json` into `output`.

    Args:
        data: folder with the ICT face model's arrays.
        people: how many; single heads range from 0.9 to 2.8 mm, so take at least 24 for a figure to quote.
        output: where the result goes; the photographs are kept there and used again.
        seed: of the people; the first ones are the same whatever their number.
        progress: told the share that is done.
        reconstruct: what is measured; None for the stages `portrait` and `fit`.
        sculpt: also measure the stage `sculpt`, from the photo alone and from its true normals and depth; the result
            gains the key `sculpt`. Half a minute more for every picture.

    Returns:
        What the file holds; lengths in millimetres.

    Raises:
        PortraitHeadError: `no_data` if the face model is not there, `bad_request` for fewer than two people,
            `cannot_write` if the folder cannot be written.
    """
    if people < 2:
        raise PortraitHeadError("bad_request", f"Shapes of {people} people cannot be told apart.", "Ask for 2 or more.")
    started = time.perf_counter()
    heads = ict.load_known_heads(data)
    pictures = _picture_folder(output, seed)
    model, prior = load_head_model(), load_identity_prior()
    mean_face = model.identified(prior.mean)
    reconstruct = reconstruct or reconstruct_with_stages
    progress = progress or Progress()
    rows, shapes, sculpts = [], [], []
    for number, person in enumerate(hard_pairs.draw_people(heads, people, seed)):
        truth = person.vertices[SKIN]
        row: dict = {"person": number, "seconds": [], "failures": []}
        for name, vertices in (("template", model.vertices), ("mean", mean_face)):
            row[name] = vars(shape_error(heads, truth, model, vertices))
        row["fit"] = []
        for shot, name in enumerate(SHOTS):
            path = _picture(pictures, heads, person, number, shot)
            begun = time.perf_counter()
            try:
                vertices = reconstruct(path)
            except PortraitHeadError as error:
                # A photo that gives no head is worth what the mean face is worth; the row says so.
                row["failures"].append(f"{name}: {error.message}")
                vertices = mean_face
            row["seconds"].append(round(time.perf_counter() - begun, 2))
            shapes.append(vertices)
            if sculpt:
                sculpts.append(measure_sculpts(heads, person, person.shots[shot], path))
            row["fit"].append(vars(shape_error(heads, truth, model, vertices)))
            progress((number * len(SHOTS) + shot + 1) / (people * len(SHOTS)))
        rows.append(row)
    distances = shape_distances(np.array(shapes)[:, model.regions["face"]])
    result = {
        "people": people,
        "seed": seed,
        **_summary(rows),
        **rank_one(distances),
        **({"sculpt": _sculpt_summary(sculpts)} if sculpt else {}),
        "seconds": round(time.perf_counter() - started, 1),
        "heads": _rounded(rows),
    }
    _write(output / RESULT_NAME, json.dumps(result, indent=1).encode())
    return result


def reconstruct_with_stages(photo: Path) -> np.ndarray:
    """The neutral head [V, 3] that the pipeline's own stages find in a photo."""
    request = HeadRequest(photos=(str(photo),))
    found = portrait.run(request, Progress())
    return fit.run(request, found, Progress()).neutral


def shape_error(heads: KnownHeads, truth: np.ndarray, model: HeadModel, vertices: np.ndarray) -> ShapeError:
    """How far a reconstructed head is from the true one.

    Args:
        heads: tells which vertices of the truth are the visible face.
        truth: [V, 3] true skin at rest, metres.
        model: the topology of the reconstruction.
        vertices: [W, 3] the reconstruction at rest.
    """
    start_faces, stop_faces = model.part("skin").faces
    surface = Surface(vertices, model.triangles()[2 * start_faces : 2 * stop_faces])
    anchors = load_landmark_table().positions(vertices)[list(ANCHORS_MEDIAPIPE)]
    start = fit_similarity(anchors.astype(np.float64), truth[list(ANCHORS)])
    _, distance = align_surface(truth[heads.face], surface, start)
    at = np.full(len(truth), np.nan)
    at[heads.face] = distance * MILLIMETRES
    return ShapeError(
        mean=float(np.mean(at[heads.face])),
        p90=float(np.percentile(at[heads.face], 90)),
        midline=float(np.mean(at[heads.midline])),
        regions={name: float(np.mean(at[region])) for name, region in heads.regions.items()},
    )


def shape_distances(faces: np.ndarray) -> np.ndarray:
    """Mean vertex distance between every two of `faces` [N, F, 3] after similarity alignment: [N, N], millimetres."""
    faces = faces.astype(np.float64)
    count = len(faces)
    distances = np.zeros((count, count))
    for i in range(count):
        for j in range(count):
            if i != j:
                laid = fit_similarity(faces[i], faces[j])(faces[i])
                distances[i, j] = np.linalg.norm(laid - faces[j], axis=1).mean() * MILLIMETRES
    return (distances + distances.T) / 2


def rank_one(distances: np.ndarray) -> dict:
    """How often a picture's nearest shape is the other picture of the same person.

    Args:
        distances: [2P, 2P], pictures of one person next to each other.

    Returns:
        `shape_rank1`, closed-set identification as for faces: each picture is looked for in a gallery that holds one
        picture of everybody, of the kind that it is not itself; its chance level and standard error over people.
        `shape_rank1_all`, each against all other pictures, those of its own kind included, which share its expression
        and distance; the mean distances between pictures of the same and of different people, millimetres.
    """
    count = len(distances)
    own = np.arange(count) ^ 1
    kind = np.arange(count) % 2
    gallery = np.where(kind[:, None] == kind, np.inf, distances)
    hits = gallery.argmin(axis=1) == own
    alone = distances + np.diag(np.full(count, np.inf))
    same = distances[np.arange(count), own]
    other = ~np.eye(count, dtype=bool)
    other[np.arange(count), own] = False
    return {
        "shape_rank1": round(float(hits.mean()), 4),
        "shape_rank1_chance": round(2 / count, 4),
        "shape_rank1_standard_error": round(_standard_error(hits.reshape(-1, 2).mean(axis=1)), 4),
        "shape_rank1_all": round(float((alone.argmin(axis=1) == own).mean()), 4),
        "same_person_mm": round(float(same.mean()), 4),
        "other_people_mm": round(float(distances[other].mean()), 4),
    }


def describe(result: dict) -> str:
    """The result of `evaluate_known_shapes` as a few lines for a terminal."""
    methods = ("template", "mean", "fit")
    lines = [f"{result['people']} people, seed {result['seed']}, mm: " + "".join(f"{name:>10}" for name in methods)]
    rows = [(name.removesuffix("_mm"), result[name]) for name in ("face_mm", "p90_mm", "midline_mm")]
    for name, values in [*rows, *result["regions_mm"].items()]:
        lines.append(f"  {name:<26}" + "".join(f"{values[method]:>10.2f}" for method in methods))
    error = result["face_mm_standard_error"]
    lines.append(f"  {'standard error':<26}" + "".join(f"{error[method]:>10.2f}" for method in methods))
    lines.append(
        f"  the fit beats the mean face by {result['gain_over_mean']:.0%}, on {result['better_than_mean']:.0%} of heads"
    )
    lines.append(
        f"  shape rank-1 {result['shape_rank1']:.2f} +- {result['shape_rank1_standard_error']:.2f}"
        f" (chance {result['shape_rank1_chance']:.2f}), {result['shape_rank1_all']:.2f} among all;"
        f" same person {result['same_person_mm']:.2f} mm,"
        f" others {result['other_people_mm']:.2f} mm"
    )
    if result["failures"]:
        lines.append(f"  {result['failures']} of {2 * result['people']} pictures gave no head and count as mean face")
    return "\n".join(lines)


def _summary(rows: list[dict]) -> dict:
    """Averages over the people; a person's fit is the mean of the two pictures'."""

    def per_person(read: Callable[[dict], float]) -> dict[str, np.ndarray]:
        values = {name: np.array([read(row[name]) for row in rows]) for name in ("template", "mean")}
        values["fit"] = np.array([np.mean([read(picture) for picture in row["fit"]]) for row in rows])
        return values

    def averaged(read: Callable[[dict], float]) -> dict[str, float]:
        return {name: round(float(values.mean()), 4) for name, values in per_person(read).items()}

    faces = per_person(lambda error: error["mean"])
    return {
        "face_mm": averaged(lambda error: error["mean"]),
        "face_mm_standard_error": {name: round(_standard_error(values), 4) for name, values in faces.items()},
        "face_mm_by_picture": {
            name: round(float(np.mean([row["fit"][shot]["mean"] for row in rows])), 4)
            for shot, name in enumerate(SHOTS)
        },
        "p90_mm": averaged(lambda error: error["p90"]),
        "midline_mm": averaged(lambda error: error["midline"]),
        "regions_mm": {
            region: averaged(lambda error, region=region: error["regions"][region])
            for region in rows[0]["mean"]["regions"]
        },
        "gain_over_mean": round(float(1 - faces["fit"].mean() / faces["mean"].mean()), 4),
        "better_than_mean": round(float((faces["fit"] < faces["mean"]).mean()), 4),
        "failures": sum(len(row["failures"]) for row in rows),
    }


def _sculpt_summary(pictures: list[dict[str, SculptErrors]]) -> dict:
    """For every method the averages over the pictures, and how often shapes find their own person."""
    summary = {}
    for method in METHODS:
        errors = [picture[method] for picture in pictures]
        ranks = rank_one(shape_distances(np.array([error.face for error in errors])))
        summary[method] = {
            "face_mm": round(float(np.mean([error.at_rest for error in errors])), 4),
            "face_mm_in_photo": round(float(np.mean([error.in_photo for error in errors])), 4),
            "silhouette_iou": round(float(np.mean([error.silhouette_iou for error in errors])), 4),
            "shape_rank1": ranks["shape_rank1"],
            "shape_rank1_all": ranks["shape_rank1_all"],
            "regions_mm": {
                name: round(float(np.mean([error.regions[name] for error in errors])), 4) for name in errors[0].regions
            },
        }
    return summary


def _standard_error(values: np.ndarray) -> float:
    return float(values.std(ddof=1) / np.sqrt(len(values)))


def _rounded(value):
    """The same nested lists and dicts with every float at four decimals."""
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value


def _picture_folder(output: Path, seed: int) -> Path:
    """Where pictures of this seed lie; the name changes with the code that draws and paints them."""
    digest = hashlib.sha256(str(seed).encode())
    for module in (ict, point_mesh, skin_paint, hard_pairs):
        digest.update(Path(str(module.__file__)).read_bytes())
    folder = output / f"pictures-{digest.hexdigest()[:12]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder


def _picture(folder: Path, heads: KnownHeads, person: Person, number: int, shot: int) -> Path:
    """The path of one photograph, taken now if it is not there yet."""
    path = folder / f"person_{number:03d}_{SHOTS[shot]}.png"
    if not path.exists():
        image = Image.fromarray(hard_pairs.photograph(heads, person, person.shots[shot]))
        partial = path.with_suffix(".partial.png")
        try:
            image.save(partial)
            partial.replace(path)
        except OSError as error:
            raise _unwritable(path, error) from error
    return path


def _write(path: Path, content: bytes) -> None:
    try:
        path.write_bytes(content)
    except OSError as error:
        raise _unwritable(path, error) from error


def _unwritable(path: Path, error: OSError) -> PortraitHeadError:
    return PortraitHeadError(
        "cannot_write", f"{path} cannot be written ({error}).", "Name another folder with --output."
    )
