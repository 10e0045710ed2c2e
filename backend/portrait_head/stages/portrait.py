"""Stage 1: find the face in the photo and say what can be seen of the person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from portrait_head.errors import PortraitHeadError
from portrait_head.identity.embedding import IdentityEmbedding, average, least_alike
from portrait_head.photo.decode import load_photo
from portrait_head.photo.faces import Face, find_faces_any_way_up, refine_landmarks
from portrait_head.photo.masks import head_masks
from portrait_head.photo.obstructions import obstructions
from portrait_head.photo.quality import check_face, check_picture, check_shading, choose_face
from portrait_head.photo.sample import photo_path
from portrait_head.photo.window import head_window
from portrait_head.progress import Progress

STRANGER = 0.25  # cosine to the other photos under which a photo most likely shows somebody else


class PhotoRequest(Protocol):
    """What this stage reads of the request: paths of photos and the face to take, counted from 1."""

    @property
    def photos(self) -> tuple[str, ...]:
        """Paths; the head is made of the first, the others only say who it is."""
        ...

    @property
    def face(self) -> int | None:
        """Counted from 1, the largest first; None takes the largest."""
        ...


class FaceEncoder(Protocol):
    """Turns the face of a picture into numbers; `identity.face_recognition.FaceRecognition` is one."""

    def embed(self, image: np.ndarray, near: np.ndarray | None = None) -> IdentityEmbedding:
        """Encode the face of `image` [H, W, 3] uint8 nearest to `near` [2] pixels, without it the largest."""
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
        occluder: [S, S] bool, what stands before the face: the frame of glasses, a hand.
        hair_style: "none", "cropped", "volume" or "unknown" (cannot be told from skin or background).
        faces: [N, 4] float32 (left, top, right, bottom) of every face in photo pixels, largest first.
        face: index into `faces` of the one taken.
        interocular: distance between the pupils in photo pixels.
        focal: the lens's focal length in window pixels; None where the photo's file does not tell.
        identities: who an encoder says it is, one for each photo in which it sees a face; empty without an encoder.
        warnings: sentences for the user.
    """

    image: np.ndarray
    valid: np.ndarray
    window: np.ndarray
    landmarks: np.ndarray
    person: np.ndarray
    hair: np.ndarray
    skin: np.ndarray
    occluder: np.ndarray
    hair_style: str
    faces: np.ndarray
    face: int
    interocular: float
    focal: float | None = None
    identities: tuple[IdentityEmbedding, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def identity(self) -> IdentityEmbedding | None:
        """The person, over all photos by their quality; None without an encoder."""
        return average(self.identities) if self.identities else None


def run(request: PhotoRequest, progress: Progress, encoder: Callable[[], FaceEncoder] | None = None) -> Portrait:
    """Find the wished face in the first photo of `request` and describe it.

    Args:
        request: photos and face.
        progress: told how far it is.
        encoder: gives what says who it is; None for nothing.

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
    before = obstructions(window.image, own)
    warnings += before.warnings
    progress(0.5)
    masks = head_masks(window.image, window.valid, own, others)
    progress(0.7)
    identities: tuple[IdentityEmbedding, ...] = ()
    if encoder is not None:
        identities, doubts = _identities(encoder(), window.image, own, request.photos[1:])
        warnings += doubts
    elif len(request.photos) > 1:
        warnings += (
            f"The head is made of {path.name} alone: more photos say who the person is, which only the tier diffusion "
            "asks.",
        )
    progress(1.0)
    return Portrait(
        image=window.image,
        valid=window.valid,
        window=window.placement,
        landmarks=own.astype(np.float32),
        person=masks.person,
        hair=masks.hair,
        skin=masks.skin,
        occluder=before.mask,
        hair_style=masks.hair_style,
        faces=np.array([found.box for found in faces], np.float32),
        face=chosen,
        interocular=face.interocular,
        focal=None if photo.focal is None else photo.focal / float(window.placement[2]),
        identities=identities,
        warnings=photo.warnings + warnings + masks.warnings,
    )


def _identities(
    encoder: FaceEncoder, image: np.ndarray, landmarks: np.ndarray, more: tuple[str, ...]
) -> tuple[tuple[IdentityEmbedding, ...], tuple[str, ...]]:
    """The person in the window and in more photos, and what is doubtful about them."""
    middle = landmarks[:, :2].mean(axis=0)
    found, names, doubts = [], [], []
    for index, photo in enumerate(("", *more)):
        name = "The first photo" if index == 0 else photo_path(photo).name
        try:
            who = encoder.embed(load_photo(photo_path(photo)).image) if index else encoder.embed(image, middle)
        except PortraitHeadError as error:
            if error.kind != "no_face":
                raise
            doubts.append(f"{name} does not count for who it is: {error.message}")
            continue
        if index and who.faces > 1:
            doubts.append(f"{name} shows {who.faces} faces: the largest was taken for the person.")
        found.append(who)
        names.append(name)
    if len(found) > 1:
        worst, cosine = least_alike(found)
        if cosine < STRANGER:
            doubts.append(f"{names[worst]} seems to show somebody else (likeness {cosine:.2f}): leave it out.")
    return tuple(found), tuple(doubts)
