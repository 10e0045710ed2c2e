"""What every identity encoder gives, and what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np


@dataclass(frozen=True)
class IdentityEmbedding:
    """A person as one encoder sees them.

    Attributes:
        vector: [D] float32, unit length; 512 long for face recognition, the width of the projection for CLIP.
        patches: [P, C] float32, features of the parts of the picture, row by row; P is 0 where the encoder has none.
        quality: 0 to 1, how much this photo should count among several.
        encoder: the pack that made it; vectors of different encoders have nothing in common.
        licence: under which terms, as a person reads it.
        commercial_use: whether these terms allow commercial use of what is made with it.
        faces: how many faces the photo showed; the largest was taken.
    """

    vector: np.ndarray
    patches: np.ndarray
    quality: float
    encoder: str
    licence: str
    commercial_use: bool
    faces: int = 1


class IdentityEncoder(Protocol):
    """Anything that turns a photo into an `IdentityEmbedding`."""

    @property
    def name(self) -> str:
        """The pack behind it."""
        ...

    def embed(self, image: np.ndarray) -> IdentityEmbedding:
        """Encode `image` ([H, W, 3] uint8 sRGB). Raises PortraitHeadError `no_face` where a face is needed."""
        ...


def average(embeddings: Sequence[IdentityEmbedding]) -> IdentityEmbedding:
    """The embedding of a person from several photos: the mean of the unit vectors, weighted by quality.

    Patches are kept of the best photo alone, since parts of different photos do not lie over each other.

    Raises:
        ValueError: none were given, or they come from different encoders.
    """
    if not embeddings:
        raise ValueError("no embeddings to average")
    best = max(embeddings, key=lambda embedding: embedding.quality)
    for embedding in embeddings:
        _same_encoder(best, embedding)
    weights = np.array([embedding.quality for embedding in embeddings], dtype=np.float64)
    if not weights.any():
        weights[:] = 1.0
    weights /= weights.sum()
    vectors = np.stack([embedding.vector for embedding in embeddings]).astype(np.float64)
    quality = float(weights @ [embedding.quality for embedding in embeddings])
    return replace(best, vector=unit(weights @ vectors), quality=quality)


def similarity(left: IdentityEmbedding, right: IdentityEmbedding) -> float:
    """The cosine between two embeddings, -1 to 1; 1 is the same picture, and strangers lie near 0.

    Raises:
        ValueError: they come from different encoders.
    """
    _same_encoder(left, right)
    return float(np.clip(left.vector.astype(np.float64) @ right.vector.astype(np.float64), -1.0, 1.0))


def least_alike(embeddings: Sequence[IdentityEmbedding]) -> tuple[int, float]:
    """Which of several photos fits the others least, and its cosine to their average.

    With a low cosine the photo shows somebody else, or the face in it could not be made out.

    Raises:
        ValueError: fewer than two were given, or they come from different encoders.
    """
    if len(embeddings) < 2:
        raise ValueError("one photo cannot differ from itself")
    cosines = [
        similarity(embedding, average([*embeddings[:index], *embeddings[index + 1 :]]))
        for index, embedding in enumerate(embeddings)
    ]
    worst = int(np.argmin(cosines))
    return worst, cosines[worst]


def unit(vector: np.ndarray) -> np.ndarray:
    """`vector` [D] at length one, float32."""
    length = np.linalg.norm(vector)
    if not np.isfinite(length) or length == 0:
        raise ValueError("an embedding must have a finite length above zero")
    return (vector / length).astype(np.float32)


def _same_encoder(left: IdentityEmbedding, right: IdentityEmbedding) -> None:
    if left.encoder != right.encoder or left.vector.shape != right.vector.shape:
        raise ValueError(f"embeddings of {left.encoder} and {right.encoder} cannot be compared")
