"""Which of a source's files make a pack."""

import pytest
from portrait_head.errors import PortraitHeadError
from portrait_head.models.layout import choose

from tests.backend.models.conftest import toy_pack

CONFIG = "config.json"
STEM = "diffusion_pytorch_model"


def chosen(pack, *names) -> dict[str, str]:
    return {part.source: part.stored for part in choose(pack, names)}


def test_half_precision_safetensors_are_taken_before_all_else():
    found = chosen(
        toy_pack(), CONFIG, *(STEM + end for end in (".bin", ".fp16.bin", ".safetensors", ".fp16.safetensors"))
    )

    assert found == {CONFIG: CONFIG, f"{STEM}.fp16.safetensors": f"{STEM}.safetensors"}


def test_a_pickle_is_taken_where_there_is_nothing_better():
    parts = choose(toy_pack(), [CONFIG, f"{STEM}.bin", f"{STEM}.ckpt"])

    assert [(part.stored, part.pickled) for part in parts] == [(CONFIG, False), (f"{STEM}.safetensors", True)]


def test_transformers_other_name_for_pickles_is_known():
    pack = toy_pack(weights=("text_encoder/model",))

    assert chosen(pack, CONFIG, "text_encoder/pytorch_model.bin") == {
        CONFIG: CONFIG,
        "text_encoder/pytorch_model.bin": "text_encoder/model.safetensors",
    }


def test_a_subfolder_becomes_the_root_of_the_pack_and_the_pack_itself_will_do():
    pack = toy_pack(subfolder="unet")

    assert chosen(pack, f"unet/{CONFIG}", f"unet/{STEM}.bin", f"vae/{STEM}.bin")[f"unet/{CONFIG}"] == CONFIG
    assert chosen(pack, CONFIG, f"{STEM}.safetensors") == {name: name for name in (CONFIG, f"{STEM}.safetensors")}


@pytest.mark.parametrize("names", [(CONFIG,), (f"{STEM}.safetensors",), ()])
def test_what_is_not_there_is_named(names):
    with pytest.raises(PortraitHeadError, match=r"(config\.json|diffusion_pytorch_model).* is not there") as failure:
        choose(toy_pack(), names)

    assert failure.value.kind == "wrong_layout"
