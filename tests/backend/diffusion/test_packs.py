"""Packs that are missing, damaged or of another family: one sentence each, with the way out."""

import dataclasses
import json
import pickle
import shutil
import tomllib
from pathlib import Path

import pytest
import torch
from portrait_head import models
from portrait_head.diffusion.packs import PriorFolders, load_face_id, load_pipeline, pack_folders
from portrait_head.errors import PortraitHeadError
from portrait_head.models.loading import libraries
from safetensors.torch import load_file, save_file

from tests.backend.diffusion.toy_packs import face_id_state

UNET_WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def own(packs, tmp_path) -> PriorFolders:
    """Toy packs that a test may spoil."""
    for name in ("base", "controlnet", "face_id"):
        shutil.copytree(getattr(packs, name), tmp_path / name)
    return PriorFolders(tmp_path / "base", tmp_path / "controlnet", face_id=tmp_path / "face_id")


def refusal(folders: PriorFolders) -> PortraitHeadError:
    with pytest.raises(PortraitHeadError) as caught:
        load_pipeline(folders, torch.float32)
    assert caught.value.message.count("\n") == 0
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder", "tokenizer", "scheduler"])
def test_missing_folder(own, part):
    shutil.rmtree(own.base / part)
    error = refusal(own)
    assert error.kind == "pack_missing"
    assert str(own.base / part) in error.message
    assert "models download" in error.hint


def test_missing_weights(own):
    (own.base / UNET_WEIGHTS).unlink()
    assert "models verify" in refusal(own).hint


def test_half_a_download(own):
    file = own.base / UNET_WEIGHTS
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    error = refusal(own)
    assert error.kind == "weights_broken"
    assert "unet" in error.message
    assert "models verify" in error.hint


def test_flipped_byte_in_the_header(own):
    file = own.controlnet / "diffusion_pytorch_model.safetensors"
    data = bytearray(file.read_bytes())
    data[8] ^= 0xFF  # the brace that opens the list of tensors
    file.write_bytes(data)
    assert refusal(own).kind == "weights_broken"


def test_flipped_byte_in_a_config(own):
    file = own.base / "vae" / "config.json"
    file.write_text(file.read_text().replace("{", "[", 1))
    assert refusal(own).kind == "weights_broken"


def test_tensors_that_are_not_there(own):
    file = own.base / UNET_WEIGHTS
    tensors = load_file(file)
    gone = sorted(tensors)[0]
    del tensors[gone]
    save_file(tensors, file, metadata={"format": "pt"})
    error = refusal(own)
    assert error.kind == "wrong_architecture"
    assert gone in error.message


def test_weights_as_older_libraries_named_them_are_read(own):
    """The published text encoders carry a buffer that is no weight; the published VAEs call their attentions' parts by
    other names."""
    file = own.base / "text_encoder" / "model.safetensors"
    tensors = load_file(file)
    tensors["text_model.embeddings.position_ids"] = torch.arange(77)[None]
    save_file(tensors, file, metadata={"format": "pt"})
    file = own.base / "vae" / "diffusion_pytorch_model.safetensors"
    older = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    tensors = load_file(file)
    renamed = {}
    for name, tensor in tensors.items():
        for new, old in older.items():
            name = name.replace(f"attentions.0.{new}.", f"attentions.0.{old}.")
        renamed[name] = tensor
    assert renamed.keys() != tensors.keys()
    save_file(renamed, file, metadata={"format": "pt"})
    vae = load_pipeline(own, torch.float32).vae
    assert torch.equal(
        vae.state_dict()["encoder.mid_block.attentions.0.to_q.weight"],
        tensors["encoder.mid_block.attentions.0.to_q.weight"],
    )


def test_another_class(own):
    error = refusal(dataclasses.replace(own, controlnet=own.base / "unet"))
    assert error.kind == "wrong_architecture"
    assert "UNet2DConditionModel" in error.message


def test_another_text_width(own):
    for folder in (own.base / "unet", own.controlnet):
        file = folder / "config.json"
        file.write_text(json.dumps({**json.loads(file.read_text()), "cross_attention_dim": 48}))
    assert refusal(own).kind == "wrong_architecture"  # its weights no longer fit their own config


def test_a_controlnet_of_another_family(own):
    diffusers, _ = libraries()
    diffusers.ControlNetModel(
        block_out_channels=(32, 64),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        layers_per_block=1,
        cross_attention_dim=48,
        conditioning_embedding_out_channels=(16, 32),
        norm_num_groups=8,
    ).save_pretrained(own.controlnet)
    error = refusal(own)
    assert error.kind == "wrong_architecture"
    assert "48" in error.message
    assert "1.5" in error.hint


def test_a_unet_that_replaces_the_bases(own):
    shutil.move(own.base / "unet", own.base.parent / "normal")
    assert load_pipeline(dataclasses.replace(own, unet=own.base.parent / "normal"), torch.float32).unet is not None


@pytest.mark.parametrize("kind", ["normal", "depth"])
@pytest.mark.parametrize("controlnet", ["controlnet-landmarks", "controlnet-canny"])
def test_folders_are_those_of_packs_in_the_catalogue(kind, controlnet):
    catalogue = tomllib.loads((Path(models.__file__).parent / "catalogue.toml").read_text(encoding="utf-8"))
    folders = pack_folders(Path, kind, controlnet)
    names = [str(value) for value in dataclasses.asdict(folders).values()]
    assert set(names) <= set(catalogue["packs"])
    assert f"text-to-{kind}" in names
    assert controlnet in names


class TestFaceId:
    """The identity adapter's file."""

    def write(self, own: PriorFolders, width: int = 32, drop: str = "") -> Path:
        state = face_id_state(load_pipeline(dataclasses.replace(own, face_id=None), torch.float32).unet, width)
        flat = {f"{group}.{name}": value for group, part in state.items() for name, value in part.items()}
        file = own.base.parent / "adapter.safetensors"
        save_file({name: value for name, value in flat.items() if name != drop}, file)
        return file

    def test_missing(self, own):
        error = refusal(dataclasses.replace(own, face_id=own.base.parent / "nowhere"))
        assert error.kind == "pack_missing"

    def test_published_pickle_gives_the_same_weights_as_its_conversion(self, own):
        pipelines = []
        converted = next(own.face_id.glob("*.safetensors"))
        state = {"image_proj": {}, "ip_adapter": {}}
        for name, value in load_file(converted).items():
            group, _, rest = name.partition(".")
            state[group][rest] = value
        pickled = own.base.parent / "ip-adapter-faceid-portrait-v11_sd15.bin"
        torch.save(state, pickled)
        for file in (converted, pickled):
            pipeline = load_pipeline(dataclasses.replace(own, face_id=None), torch.float32)
            load_face_id(pipeline, file)
            pipelines.append(pipeline.unet.state_dict())
        assert all(torch.equal(value, pipelines[1][name]) for name, value in pipelines[0].items())
        assert any("to_k_ip" in name for name in pipelines[0])

    def test_a_pickle_that_runs_code_is_not_run(self, own):
        class Bomb:
            def __reduce__(self):
                return (Path.touch, (own.base.parent / "burst",))

        file = own.base.parent / "adapter.bin"
        file.write_bytes(pickle.dumps({"image_proj": Bomb()}, protocol=2))
        refusal(dataclasses.replace(own, face_id=file))
        assert not (own.base.parent / "burst").exists()

    def test_another_width(self, own):
        error = refusal(dataclasses.replace(own, face_id=self.write(own, width=48)))
        assert error.kind == "wrong_architecture"
        assert "48" in error.message

    def test_an_attention_left_out(self, own):
        error = refusal(dataclasses.replace(own, face_id=self.write(own, drop="ip_adapter.1.to_k_ip.weight")))
        assert error.kind == "wrong_architecture"

    def test_another_kind_of_adapter(self, own):
        file = own.base.parent / "plus.safetensors"
        save_file({"image_proj.latents": torch.zeros(1, 16, 8), "ip_adapter.1.to_k_ip.weight": torch.zeros(8, 8)}, file)
        error = refusal(dataclasses.replace(own, face_id=file))
        assert error.kind == "wrong_architecture"
        assert "faceid-portrait" in error.hint
