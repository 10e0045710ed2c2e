"""Captions from a toy BLIP of the real classes."""

from dataclasses import astuple

import numpy as np
import pytest
import torch
from portrait_head.diffusion.captions import MOST_WORDS, describe_photo, prompt_texts, shortened
from portrait_head.diffusion.inpainting import texture_texts
from portrait_head.errors import PortraitHeadError
from portrait_head.models.loading import libraries
from portrait_head.request import HeadRequest

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


def test_view_and_kind_are_within_what_clip_reads_however_long_the_caption_is():
    caption = shortened("w" + " word" * 99)
    for texts in (prompt_texts(caption, "normal"), prompt_texts(caption, "depth"), texture_texts(caption)):
        for text in astuple(texts)[:-1]:
            of_caption, own = len(caption.split()), len(text.split()) - len(caption.split())
            assert text.startswith(caption) and own > 2
            assert 2 * of_caption + own + text.count(",") + 2 <= 77  # two tokens a word, commas, beginning and end


def test_the_request_says_how_many_words_are_read():
    assert f"{MOST_WORDS} of them are read" in str(HeadRequest.__doc__)
