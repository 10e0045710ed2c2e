"""Captions from a toy BLIP of the real classes."""

import numpy as np
import pytest
import torch
from portrait_head.diffusion.captions import describe_photo
from portrait_head.errors import PortraitHeadError
from portrait_head.models.loading import libraries

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "[ENC]", "a", "man", "woman", "smiling"]


@pytest.fixture(scope="module")
def blip(tmp_path_factory):
    _, transformers = libraries()
    folder = tmp_path_factory.mktemp("blip")
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    processor = transformers.BlipProcessor(
        transformers.BlipImageProcessor(size={"height": 16, "width": 16}),
        transformers.BertTokenizer(str(folder / "vocab.txt"), additional_special_tokens=["[DEC]", "[ENC]"]),
    )
    processor.save_pretrained(folder)
    size = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    special = {"bos_token_id": 5, "eos_token_id": 3, "pad_token_id": 0, "sep_token_id": 3}
    text = {"vocab_size": len(WORDS), "encoder_hidden_size": 16, "max_position_embeddings": 40, **size, **special}
    vision = {"image_size": 16, "patch_size": 8, **size}
    torch.manual_seed(0)
    model = transformers.BlipForConditionalGeneration(
        transformers.BlipConfig(text_config=text, vision_config=vision, projection_dim=16)
    )
    # Its head says "smiling" whatever it sees, so that the words that come back are known.
    torch.nn.init.zeros_(model.text_decoder.cls.predictions.decoder.weight)
    model.text_decoder.cls.predictions.bias.data[WORDS.index("smiling")] = 5.0
    model.save_pretrained(folder)
    return folder


def test_a_photo_is_described(blip):
    photo = np.zeros((20, 20, 3), np.uint8)
    assert describe_photo(photo, blip, torch.device("cpu"), max_words=3) == "smiling smiling smiling"


def test_a_folder_without_a_model_is_one_sentence(tmp_path):
    with pytest.raises(PortraitHeadError, match="cannot be read") as caught:
        describe_photo(np.zeros((20, 20, 3), np.uint8), tmp_path, torch.device("cpu"))
    assert caught.value.kind == "weights_broken"
    assert "models verify" in caught.value.hint
