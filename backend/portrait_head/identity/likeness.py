"""How much a finished head looks like the person, as an identity encoder sees it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from portrait_head.errors import PortraitHeadError
from portrait_head.identity.embedding import IdentityEmbedding, IdentityEncoder, similarity

YAWS = (-30, -15, 0, 15, 30)  # degrees; positive where the camera stands on the subject's left
PICTURE_SIZE = 320  # pixels of the head's height: a face is then wider than the 112 that recognisers look at


@dataclass(frozen=True)
class Likeness:
    """Cosines of normalised vectors; strangers lie near 0, two photos of one person mostly above 0.4.

    Attributes:
        encoder: the pack that compared.
        licence: its terms.
        commercial_use: whether these allow commercial use.
        similarity: by the yaw of the view in degrees; None where the encoder saw no face in it.
    """

    encoder: str
    licence: str
    commercial_use: bool
    similarity: dict[str, float | None]


def measure_likeness(encoder: IdentityEncoder, person: IdentityEmbedding, views: Mapping[int, np.ndarray]) -> Likeness:
    """Compare views of a head ([H, W, 3] uint8 sRGB, by yaw in degrees) with what the photos said of the person."""
    return Likeness(
        person.encoder,
        person.licence,
        person.commercial_use,
        {str(yaw): _compared(encoder, person, picture) for yaw, picture in views.items()},
    )


def _compared(encoder: IdentityEncoder, person: IdentityEmbedding, picture: np.ndarray) -> float | None:
    try:
        return round(similarity(person, encoder.embed(picture)), 4)
    except PortraitHeadError as error:
        if error.kind != "no_face":
            raise
        return None
