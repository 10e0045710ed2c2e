"""Tiny models of the real classes, from the pack's folder into the libraries that run them."""

import json

import pytest
import torch
from portrait_head.errors import PortraitHeadError
from portrait_head.models.download import download
from portrait_head.models.install import install_folder
from portrait_head.models.loading import load_pretrained
from portrait_head.models.transfer import Patience
from safetensors.torch import load_file, save_file

from tests.backend.models.conftest import FREE, toy_pack
from tests.backend.models.hub import COMMIT

diffusers = pytest.importorskip("diffusers")
WEIGHTS = "diffusion_pytorch_model.safetensors"


def tiny_unet(width: int = 16):
    torch.manual_seed(2)
    return diffusers.UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(4, 8),
        layers_per_block=1,
        norm_num_groups=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=width,
        attention_head_dim=2,
    )


def same(left: torch.nn.Module, right: torch.nn.Module) -> bool:
    theirs = right.state_dict()
    return all(torch.equal(tensor, theirs[name]) for name, tensor in left.state_dict().items())


def test_a_unet_published_as_a_pickle_arrives_unchanged_in_diffusers(hub, store, tmp_path):
    unet = tiny_unet()
    unet.save_pretrained(tmp_path / "source", safe_serialization=False)
    hub.repositories["somebody/toy"][COMMIT] = {
        f"unet/{path.name}": path.read_bytes() for path in (tmp_path / "source").iterdir()
    }

    download(toy_pack(subfolder="unet"), FREE, store, patience=Patience(attempts=1))

    assert not list(store.path("toy").glob("*.bin"))
    assert same(unet, diffusers.UNet2DConditionModel.from_pretrained(store.path("toy"), local_files_only=True))
    assert same(unet, load_pretrained(diffusers.UNet2DConditionModel, store.path("toy")))


def test_the_type_of_numbers_is_what_was_asked_for(store, tmp_path):
    tiny_unet().save_pretrained(tmp_path / "source")
    install_folder(toy_pack(), tmp_path / "source", store)

    assert load_pretrained(diffusers.UNet2DConditionModel, store.path("toy"), torch.float16).dtype == torch.float16


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (lambda tensors: tensors.pop("conv_in.bias"), "conv_in.bias and 0 more tensors are missing"),
        (lambda tensors: tensors.update({"lora.up": torch.ones(1)}), "lora.up and 0 more tensors belong"),
        (lambda tensors: tensors.update({"conv_in.bias": torch.ones(3)}), "conv_in.bias"),
    ],
)
def test_weights_that_do_not_fit_are_an_error_not_random_numbers(tmp_path, harm, said):
    tiny_unet().save_pretrained(tmp_path)
    tensors = load_file(tmp_path / WEIGHTS)
    harm(tensors)
    save_file(tensors, tmp_path / WEIGHTS, metadata={"format": "pt"})

    with pytest.raises(PortraitHeadError) as failure:
        load_pretrained(diffusers.UNet2DConditionModel, tmp_path)

    assert failure.value.kind == "wrong_architecture" and said in failure.value.message


def test_a_model_of_another_size_or_class_is_an_error(tmp_path):
    tiny_unet(width=24).save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"cross_attention_dim": 16}))

    for model_class in (diffusers.UNet2DConditionModel, diffusers.ControlNetModel):
        with pytest.raises(PortraitHeadError) as failure:
            load_pretrained(model_class, tmp_path)
        assert failure.value.kind == "wrong_architecture"


def test_half_a_weight_file_is_an_error_that_names_the_way_out(tmp_path):
    tiny_unet().save_pretrained(tmp_path)
    (tmp_path / WEIGHTS).write_bytes((tmp_path / WEIGHTS).read_bytes()[:1000])

    with pytest.raises(PortraitHeadError, match="models verify") as failure:
        load_pretrained(diffusers.UNet2DConditionModel, tmp_path)

    assert failure.value.kind == "weights_broken"
