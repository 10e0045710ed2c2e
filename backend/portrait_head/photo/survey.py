"""Looks for the faces of a photo before a run, and for what speaks against each; a second or two with warm models."""

from __future__ import annotations

import io

import cv2
import numpy as np
from PIL import Image

from portrait_head.errors import PortraitHeadError
from portrait_head.photo.decode import load_photo
from portrait_head.photo.faces import Face, find_faces_any_way_up
from portrait_head.photo.found_faces import FoundFace, FoundFaces
from portrait_head.photo.quality import check_face, choose_face
from portrait_head.photo.sample import photo_path

PICTURE_SIDE = 96  # pixels
PICTURE_MARGIN = 1.5  # side of the picture over the face's longer side: hair and chin help to tell people apart
PICTURE_QUALITY = 85


def survey(photo: str) -> FoundFaces:
    """Every face of the photo, the largest first, as the portrait stage will count them.

    Args:
        photo: path of the file, or "sample".

    Raises:
        PortraitHeadError: the photo cannot be read (see `photo.decode`), or there is no face in it (`no_face`).
    """
    path = photo_path(photo)
    image = load_photo(path).image
    faces, turns = find_faces_any_way_up(image)
    default, _ = choose_face(faces, None, path.name)
    upright = np.ascontiguousarray(np.rot90(image, turns))
    return FoundFaces(tuple(_told(face, upright) for face in faces), default + 1)


def _told(face: Face, image: np.ndarray) -> FoundFace:
    height, width = image.shape[:2]
    trouble, warnings = "", ()
    try:
        warnings = check_face(face, (width, height))
    except PortraitHeadError as error:
        trouble = error.message
    shares = np.clip(face.box / (width, height, width, height), 0, 1)
    left, top, right, bottom = (round(float(share), 4) for share in shares)
    return FoundFace((left, top, right, bottom), round(face.size), trouble, warnings, _picture(face, image))


def _picture(face: Face, image: np.ndarray) -> bytes:
    """A square around the face, moved into the photo where it would reach beyond."""
    height, width = image.shape[:2]
    left, top, right, bottom = face.box
    side = max(1, min(round(PICTURE_MARGIN * max(right - left, bottom - top)), height, width))
    x = int(np.clip((left + right - side) / 2, 0, width - side))
    y = int(np.clip((top + bottom - side) / 2, 0, height - side))
    small = cv2.resize(image[y : y + side, x : x + side], (PICTURE_SIDE, PICTURE_SIDE), interpolation=cv2.INTER_AREA)
    stream = io.BytesIO()
    Image.fromarray(small).save(stream, "JPEG", quality=PICTURE_QUALITY)
    return stream.getvalue()
