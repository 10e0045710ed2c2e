"""Toy-sized packs of the real classes, saved in the layout of their sources, and a prior read from them."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import torch
from portrait_head.diffusion.memory_plan import PLANS, MemoryPlan
from portrait_head.diffusion.packs import PriorFolders
from portrait_head.diffusion.prior import IdGuidedPrior, PriorConfig, Subject, load_prior
from portrait_head.diffusion.variational import VariationalConfig
from portrait_head.models.loading import libraries
from safetensors.torch import save_file

TEXT_WIDTH = 32
WIDTHS = (32, 64)
SIDE = 32  # pixels; 16 x 16 latents, so that the attention sees more than one row
TOKENS = 16  # of the portrait adapter


def save_packs(folder: Path) -> PriorFolders:
    """Folders of a toy Stable Diffusion, a landmark ControlNet and a FaceID adapter."""
    diffusers, _ = libraries()
    torch.manual_seed(1)
    blocks = {"down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"), "block_out_channels": WIDTHS}
    shared = {**blocks, "layers_per_block": 1, "cross_attention_dim": TEXT_WIDTH, "attention_head_dim": 8}
    unet = diffusers.UNet2DConditionModel(
        sample_size=16, up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"), norm_num_groups=8, **shared
    )
    unet.save_pretrained(folder / "sd" / "unet")
    controlnet = diffusers.ControlNetModel(conditioning_embedding_out_channels=(16, 32), norm_num_groups=8, **shared)
    for name, weight in controlnet.named_parameters():  # a fresh ControlNet ends in zeros and would say nothing
        if name.startswith(("controlnet_down", "controlnet_mid")) or ".conv_out." in name:
            torch.nn.init.normal_(weight, std=0.2)
    controlnet.save_pretrained(folder / "landmarks")
    vae = diffusers.AutoencoderKL(
        block_out_channels=(16, 16),
        down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
        up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
        latent_channels=4,
        norm_num_groups=8,
        sample_size=SIDE,
    )
    vae.save_pretrained(folder / "sd" / "vae")
    diffusers.DDIMScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", clip_sample=False, steps_offset=1
    ).save_pretrained(folder / "sd" / "scheduler")
    save_text_encoder(folder / "sd")
    (folder / "face_id").mkdir()
    save_file(
        {f"{group}.{name}": value for group, part in face_id_state(unet).items() for name, value in part.items()},
        folder / "face_id" / "ip-adapter-faceid-portrait-v11_sd15.safetensors",
    )
    return PriorFolders(folder / "sd", folder / "landmarks", face_id=folder / "face_id")


def save_text_encoder(folder: Path) -> None:
    """A CLIP text encoder and its tokenizer, which knows letters only."""
    _, transformers = libraries()
    tokenizer = folder / "tokenizer"
    tokenizer.mkdir(parents=True)
    letters = [chr(code) for code in range(33, 127)]
    words = [*letters, *(letter + "</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (tokenizer / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(words)}))
    (tokenizer / "merges.txt").write_text("#version: 0.2\n")
    transformers.CLIPTokenizer(
        str(tokenizer / "vocab.json"), str(tokenizer / "merges.txt"), model_max_length=77
    ).save_pretrained(tokenizer)
    transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            vocab_size=len(words),
            hidden_size=TEXT_WIDTH,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=77,
            bos_token_id=words.index("<|startoftext|>"),
            eos_token_id=words.index("<|endoftext|>"),
            pad_token_id=words.index("<|endoftext|>"),
        )
    ).save_pretrained(folder / "text_encoder")


def face_id_state(unet, width: int = TEXT_WIDTH) -> dict[str, dict[str, torch.Tensor]]:
    """The tensors of a FaceID portrait file for this UNet, named as in the published file."""
    projection = {
        "proj.0.weight": torch.randn(1024, 512) / 16,
        "proj.0.bias": torch.zeros(1024),
        "proj.2.weight": torch.randn(width * TOKENS, 1024) / 16,
        "proj.2.bias": torch.zeros(width * TOKENS),
        "norm.weight": torch.ones(width),
        "norm.bias": torch.zeros(width),
    }
    attention = {}
    for key, name in enumerate(unet.attn_processors):
        if name.endswith("attn2.processor"):
            hidden = unet.get_submodule(name.removesuffix(".processor")).to_k.out_features
            attention[f"{key}.to_k_ip.weight"] = torch.randn(hidden, width) / 4
            attention[f"{key}.to_v_ip.weight"] = torch.randn(hidden, width) / 4
    return {"image_proj": projection, "ip_adapter": attention}


def face_landmarks() -> np.ndarray:
    """[478, 3] metres: points on the front of a ball of 8 cm, spread like a sunflower's seeds; both pupils in front."""
    index = np.arange(478) + 0.5
    angle, radius = index * np.pi * (3 - np.sqrt(5)), np.sqrt(index / 478)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.sqrt(1 - radius**2 + 1e-9)], axis=1)
    points[468], points[473] = (-0.35, 0.3, 0.85), (0.35, 0.3, 0.85)
    return points / np.linalg.norm(points, axis=1, keepdims=True) * 0.08


def subject(seed: int = 0, caption: str = "a person") -> Subject:
    """Somebody invented."""
    identity = np.random.default_rng(seed).standard_normal(512).astype(np.float32)
    return Subject(identity / np.linalg.norm(identity), face_landmarks(), caption)


def build_prior(
    packs: PriorFolders,
    whom: Subject | None = None,
    with_identity: bool = True,
    variational: VariationalConfig | None = None,
    plan: MemoryPlan = PLANS[0],
    **config: float,
) -> IdGuidedPrior:
    """A prior on the CPU through the code that users run."""
    folders = packs if with_identity else dataclasses.replace(packs, face_id=None)
    settings = dataclasses.replace(PriorConfig(side=SIDE), **config)
    device = torch.device("cpu")
    return load_prior(folders, whom or subject(), "normal", device, plan, torch.float32, settings, variational)
