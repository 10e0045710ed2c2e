"""A tiny CLIP, saved by transformers and loaded as users' packs are."""

import json

import numpy as np
import pytest
import torch
from portrait_head.errors import PortraitHeadError
from portrait_head.identity.clip_patches import ClipPatches
from portrait_head.identity.embedding import similarity
from safetensors.torch import load_file, save_file

transformers = pytest.importorskip("transformers")
MEAN, STD = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]  # CLIP's own
SIZE, PATCH, WIDTH = 32, 8, 16
VISION = {
    "hidden_size": WIDTH,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "image_size": SIZE,
    "patch_size": PATCH,
    "projection_dim": 12,
}
TEXT = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 50,
        "bos_token_id": 1, "eos_token_id": 2}  # fmt: skip


def save_clip(folder, whole: bool):
    """Write a CLIP of toy size and return its vision half."""
    torch.manual_seed(5)
    config = transformers.CLIPConfig(text_config=TEXT, vision_config=VISION, projection_dim=12)
    clip = transformers.CLIPModel(config)
    vision = transformers.CLIPVisionModelWithProjection(transformers.CLIPVisionConfig(**VISION))
    vision.load_state_dict({name: clip.state_dict()[name] for name in vision.state_dict()})
    (clip if whole else vision).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": MEAN, "image_std": STD}))
    return vision.eval()


@pytest.fixture(params=[True, False], ids=["a whole CLIP", "its vision half"])
def clip(request, tmp_path):
    folder = tmp_path / "clip-vision"
    folder.mkdir()
    return folder, save_clip(folder, request.param)


def picture(seed: int = 0, height: int = 90, width: int = 120) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


def test_patches_and_vector_are_those_of_transformers(clip):
    folder, vision = clip
    image = picture(height=SIZE, width=SIZE)  # needs no resampling
    pixels = (torch.from_numpy(image).float() / 255 - torch.tensor(MEAN)) / torch.tensor(STD)
    with torch.no_grad():
        wanted = vision(pixel_values=pixels.permute(2, 0, 1)[None])

    found = ClipPatches(folder, "MIT License", True).embed(image)

    assert found.patches.shape == ((SIZE // PATCH) ** 2, WIDTH)
    np.testing.assert_allclose(found.patches, wanted.last_hidden_state[0, 1:].numpy(), atol=1e-5)
    np.testing.assert_allclose(
        found.vector, torch.nn.functional.normalize(wanted.image_embeds[0], dim=0).numpy(), atol=1e-5
    )
    assert (found.encoder, found.licence, found.commercial_use) == ("clip-vision", "MIT License", True)


def test_the_middle_square_counts_at_any_size(clip):
    encoder = ClipPatches(clip[0], "MIT License", True)
    square = picture(height=64, width=64)
    wide = np.concatenate([picture(1, 64, 20), square, picture(2, 64, 20)], axis=1)
    large = square.repeat(2, axis=0).repeat(2, axis=1)

    assert similarity(encoder.embed(square), encoder.embed(wide)) == pytest.approx(1, abs=1e-6)
    assert similarity(encoder.embed(square), encoder.embed(large)) == pytest.approx(1, abs=1e-5)
    assert similarity(encoder.embed(square), encoder.embed(picture(3, 64, 64))) < 0.9999


def test_a_pack_without_its_preprocessing_or_weights_is_named(clip):
    folder = clip[0]
    tensors = load_file(folder / "model.safetensors")
    del tensors["visual_projection.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(PortraitHeadError, match=r"visual_projection\.weight"):
        ClipPatches(folder, "MIT License", True)

    save_clip(folder, whole=False)
    (folder / "preprocessor_config.json").unlink()
    with pytest.raises(PortraitHeadError, match=r"preprocessor_config\.json in .* cannot be read") as failure:
        ClipPatches(folder, "MIT License", True)
    assert failure.value.kind == "pack_broken"
