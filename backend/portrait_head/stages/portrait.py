"""Stage 1: find the face in the photo and say what can be seen of the person."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from portrait_head.photo.decode import load_photo
from portrait_head.photo.faces import Face, find_faces_any_way_up, refine_landmarks
from portrait_head.photo.masks import head_masks
from portrait_head.photo.quality import check_face, check_picture, check_shading, choose_face
from portrait_head.photo.sample import photo_path
from portrait_head.photo.window import head_window
from portrait_head.progress import Progress


class PhotoRequest(Protocol):
    """What this stage reads of the request: paths of photos and the face to take, counted from 1."""

    @property
    def photos(self) -> tuple[str, ...]:
        """Paths; this stage reads the first."""
        ...

    @property
    def face(self) -> int | None:
        """Counted from 1, the largest first; None takes the largest."""
        ...


@dataclass(frozen=True)
class Portrait:
    """The window of the photo that holds the head, and what is in it.

    Attributes:
        image: [S, S, 3] uint8 sRGB, a square window around head, hair and shoulders, upright.
        valid: [S, S] bool, False where the window reaches beyond the photo.
        window: [3] float64 (x0, y0, scale): photo pixel = window pixel * scale + (x0, y0), in the photo upright.
        landmarks: [478, 3] float32, MediaPipe's face mesh in window pixels, x right, y down, z towards the viewer
            negative and in the same unit.
        person: [S, S] float32, 0 to 1, the person as against the background.
        hair: [S, S] float32, 0 to 1, scalp hair; with the style "unknown" only what may be hair.
        skin: [S, S] float32, 0 to 1, bare skin of face, ears and neck.
        hair_style: "none", "cropped", "volume" or "unknown" (cannot be told from skin or background).
        faces: [N, 4] float32 (left, top, right, bottom) of every face in photo pixels, largest first.
        face: index into `faces` of the one taken.
        interocular: distance between the pupils in photo pixels.
        warnings: sentences for the user.
    """

    image: np.ndarray
    valid: np.ndarray
    window: np.ndarray
    landmarks: np.ndarray
    person: np.ndarray
    hair: np.ndarray
    skin: np.ndarray
    hair_style: str
    faces: np.ndarray
    face: int
    interocular: float
    warnings: tuple[str, ...] = ()


def run(request: PhotoRequest, progress: Progress) -> Portrait:
    """Find the wished face in the first photo of `request` and describe it.

    Raises:
        PortraitHeadError: the photo cannot be read (see `photo.decode`), or it has no usable face.
    """
    path = photo_path(request.photos[0])
    photo = load_photo(path)
    progress(0.1)
    faces, turns = find_faces_any_way_up(photo.image)
    image = np.ascontiguousarray(np.rot90(photo.image, turns))
    chosen, warnings = choose_face(faces, request.face, path.name)
    if turns:
        warnings = ("The photo lay on its side or upside down and was turned upright.", *warnings)
    face = Face(refine_landmarks(image, faces[chosen]), faces[chosen].score)
    warnings += check_face(face, (image.shape[1], image.shape[0]))
    progress(0.4)
    window = head_window(image, face.landmarks)
    own = window.from_photo(face.landmarks)
    others = tuple(window.from_photo(other.landmarks) for index, other in enumerate(faces) if index != chosen)
    check_shading(window, own)
    warnings += check_picture(window, own, face.interocular)
    progress(0.5)
    masks = head_masks(window.image, window.valid, own, others)
    progress(1.0)
    return Portrait(
        image=window.image,
        valid=window.valid,
        window=window.placement,
        landmarks=own.astype(np.float32),
        person=masks.person,
        hair=masks.hair,
        skin=masks.skin,
        hair_style=masks.hair_style,
        faces=np.array([found.box for found in faces], np.float32),
        face=chosen,
        interocular=face.interocular,
        warnings=photo.warnings + warnings + masks.warnings,
    )
