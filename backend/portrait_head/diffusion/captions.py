"""The words that the prior is given: what the subject looks like, from where, and as which kind of picture."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from portrait_head.diffusion.guidance_images import RenderKind
from portrait_head.diffusion.views import ViewWord
from portrait_head.models.loading import libraries, load_part, load_pretrained

# Says nothing that could be wrong about anyone: identity comes from the adapter, layout from the landmarks.
NEUTRAL_CAPTION = "a photo of the head of a person, neutral expression"
# What the text-to-normal and text-to-depth models call their pictures; ID-Sculpt's prompts end in these words.
_ENDINGS: dict[RenderKind, str] = {"normal": "black background, normal map", "depth": "black background, depth map"}
# CLIP reads 77 tokens and drops the rest without a word: with so many of a caption, at up to two tokens each, the view
# and the kind of picture, which stand at the end, are still read.
MOST_WORDS = 28
NEGATIVE_PROMPT = "two heads, several faces, deformed, hat, glasses, blurry, low quality, noise"


@dataclass(frozen=True)
class PromptTexts:
    """One text for each view, one without view words, and the negative one."""

    front: str
    side: str
    back: str
    overhead: str
    plain: str
    negative: str


@dataclass(frozen=True)
class PromptEmbeddings:
    """The texts as the text encoder sees them, each [tokens, channels]."""

    front: Tensor
    side: Tensor
    back: Tensor
    overhead: Tensor
    plain: Tensor
    negative: Tensor

    def of_view(self, word: ViewWord) -> Tensor:
        """The positive embedding of a view."""
        return getattr(self, word)

    def to(self, device: torch.device, dtype: torch.dtype) -> PromptEmbeddings:
        """The same on a device."""
        return PromptEmbeddings(*(getattr(self, field.name).to(device, dtype) for field in fields(self)))


def shortened(caption: str) -> str:
    """The first `MOST_WORDS` words of a caption."""
    return " ".join(caption.split()[:MOST_WORDS])


def prompt_texts(caption: str, kind: RenderKind, negative: str = NEGATIVE_PROMPT) -> PromptTexts:
    """The texts for a caption (the neutral one if it is blank) and a kind of picture."""
    caption = caption.strip().rstrip(".,") or NEUTRAL_CAPTION
    views = (f"{caption}, {word} view, {_ENDINGS[kind]}" for word in ("front", "side", "back", "overhead"))
    return PromptTexts(*views, plain=f"{caption}, {_ENDINGS[kind]}", negative=negative)


def describe_photo(photo: np.ndarray, folder: Path, device: torch.device, max_words: int = 30) -> str:
    """What a BLIP or BLIP-2 model says about a photo.

    Args:
        photo: [H, W, 3] uint8 sRGB.
        folder: the model pack, in the layout of `transformers`.
        device: where to run it.
        max_words: new tokens at most.

    Raises:
        PortraitHeadError: what `models.loading` raises for a pack that is not there or cannot be read.
    """
    _, transformers = libraries()
    processor = load_part(transformers.AutoProcessor, folder)
    model = load_pretrained(transformers.AutoModelForImageTextToText, folder, part_of_file=True).to(device)
    inputs = processor(images=Image.fromarray(photo), return_tensors="pt").to(device)
    with torch.no_grad():
        tokens = model.generate(**inputs, max_new_tokens=max_words, do_sample=False)
    return str(processor.batch_decode(tokens, skip_special_tokens=True)[0]).strip()
