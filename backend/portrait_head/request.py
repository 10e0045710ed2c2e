"""What a user asks for. Everything that can change the result is in a `HeadRequest`."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from portrait_head.errors import PortraitHeadError

AUTO = "auto"
TIERS = ("embedded", "diffusion")
PRESETS = ("quick", "standard", "high")
HAIR = ("auto", "none")
TEXTURE_SIZES = (1024, 2048, 4096)
DEVICES = (AUTO, "cuda", "cpu")
PACKS = (AUTO, "diffusion", "commercial")
REFERENCES = (AUTO, "predicted", "drawn")
GUIDANCE = ("fast", "consistent", "self", "paper", "paper-code")
CHOICES = {
    "tier": TIERS, "preset": PRESETS, "hair": HAIR, "texture_size": TEXTURE_SIZES, "device": DEVICES, "packs": PACKS,
    "references": REFERENCES, "guidance": GUIDANCE,
}  # fmt: skip
MAX_PHOTOS = 5


@dataclass(frozen=True)
class HeadRequest:
    """One head to make.

    Attributes:
        photos: one to five paths of pictures of one person; "sample" is the portrait that comes with scikit-image.
        face: which face of the picture, 1 for the largest, 2 for the next; None takes the largest.
        tier: "embedded" (any computer) or "diffusion" (CUDA and model packs).
        preset: "quick", "standard" or "high": how much work goes in.
        seed: the seed of everything drawn at random.
        prompt: words for the diffusion tier: what the person looks like, for shape and texture; 28 of them are read.
        style: words for a look that the diffusion tier gives all of the skin; the shape does not depend on them.
        texture_size: side of the skin texture in texels.
        delight: 0 to 1, how much of the photo's light is taken out of the skin.
        hair: "auto", or "none" for a bare head.
        device: where the diffusion tier computes: "cuda", "cpu" (which takes hours), or "auto" for CUDA.
        packs: the set of model packs that the diffusion tier uses: "diffusion", "commercial" (all of whose licences
            allow commercial use), or "auto" for the first that is whole.
        references: how the diffusion tier sees the face's relief in the photo: "predicted" by one look of a network
            trained on faces, "drawn" by the diffusion models (equation 4 of ID-Sculpt), or "auto" for the first that
            the packs allow.
        guidance: which score distillation the diffusion tier carves unseen sides with; see `diffusion.presets`.
        initial_mesh: a mesh file, or a folder that PanoHead left behind, that carving begins with (equation 2 of
            ID-Sculpt); empty for the fitted head.
        free_topology: whether the sculpt itself comes too, free of the head model's topology, textured and animated.
    """

    photos: tuple[str, ...]
    face: int | None = None
    tier: str = "embedded"
    preset: str = "standard"
    seed: int = 0
    prompt: str = ""
    style: str = ""
    texture_size: int = 2048
    delight: float = 0.7
    hair: str = "auto"
    device: str = AUTO
    packs: str = AUTO
    references: str = AUTO
    guidance: str = GUIDANCE[0]
    initial_mesh: str = ""
    free_topology: bool = False

    def __post_init__(self) -> None:
        _check(1 <= len(self.photos) <= MAX_PHOTOS, "photos", len(self.photos), f"give 1 to {MAX_PHOTOS} photos")
        _check(all(isinstance(photo, str) and photo for photo in self.photos), "photos", self.photos, "give file paths")
        _check(self.face is None or (_is_int(self.face) and self.face >= 1), "face", self.face, "count faces from 1")
        _check(_is_int(self.seed) and 0 <= self.seed < 2**32, "seed", self.seed, "give a whole number below 2^32")
        _check(isinstance(self.prompt, str), "prompt", self.prompt, "give text")
        _check(isinstance(self.style, str), "style", self.style, "give text")
        _check(isinstance(self.initial_mesh, str), "initial_mesh", self.initial_mesh, "give a path")
        _check(isinstance(self.delight, int | float) and 0 <= self.delight <= 1, "delight", self.delight, "give 0 to 1")
        _check(isinstance(self.free_topology, bool), "free_topology", self.free_topology, "give true or false")
        for name, allowed in CHOICES.items():
            value = getattr(self, name)
            good = value in allowed and type(value) is type(allowed[0])  # 2048.0 is no number of texels
            _check(good, name, value, f"choose one of {', '.join(map(str, allowed))}")

    def to_json(self) -> str:
        """The request as JSON text."""
        return json.dumps(dataclasses.asdict(self), indent=1, sort_keys=True)

    @classmethod
    def from_dict(cls, values: Any) -> HeadRequest:
        """A request from parsed JSON.

        Raises:
            PortraitHeadError: `bad_request`, naming the field, for unknown keys, wrong types and values out of range.
        """
        _check(isinstance(values, dict), "request", type(values).__name__, "give an object")
        known = {field.name for field in dataclasses.fields(cls)}
        for key in values:
            _check(key in known, str(key), values[key], f"it is not a setting; known are {', '.join(sorted(known))}")
        _check("photos" in values, "photos", None, "give at least one photo")
        _check(isinstance(values["photos"], list | tuple), "photos", values["photos"], "give a list of file paths")
        return cls(**{**values, "photos": tuple(values["photos"])})


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _check(good: bool, field: str, value: Any, advice: str) -> None:
    if not good:
        raise PortraitHeadError(
            "bad_request", f"The request's {field} is {value!r}.", f"{advice[0].upper()}{advice[1:]}."
        )
