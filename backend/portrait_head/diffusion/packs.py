"""Stable Diffusion, its ControlNet and its identity adapter from local folders, checked before they are trusted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from portrait_head.diffusion.guidance_images import RenderKind
from portrait_head.diffusion.noise_schedule import NoiseSchedule
from portrait_head.errors import PortraitHeadError
from portrait_head.models.loading import (
    libraries,
    load_part,
    load_pretrained,
    missing_folder,
    model_config,
    quiet_libraries,
)
from portrait_head.models.weights import load_weights

if TYPE_CHECKING:
    from diffusers.pipelines.controlnet.pipeline_controlnet import StableDiffusionControlNetPipeline

IDENTITY_SIZE = 512  # an ArcFace vector
FACE_ID_FILES = ("ip-adapter-faceid-portrait-v11_sd15.safetensors", "ip-adapter-faceid-portrait-v11_sd15.bin")
_CHOOSE = "Choose packs of the Stable Diffusion 1.5 family."


@dataclass(frozen=True)
class PriorFolders:
    """Where the parts lie, each in the layout of its source.

    Attributes:
        base: a Stable Diffusion 1.5 folder: `unet`, `text_encoder`, `tokenizer`, `vae`, `scheduler`.
        controlnet: a ControlNet folder.
        unet: a UNet folder that replaces the base's: the text-to-normal or text-to-depth model.
        face_id: an IP-Adapter-FaceID file, or the folder with it; None leaves identity out.
        vae: a VAE folder that replaces the base's.
    """

    base: Path
    controlnet: Path
    unet: Path | None = None
    face_id: Path | None = None
    vae: Path | None = None


def pack_folders(
    path: Callable[[str], Path],
    kind: RenderKind,
    controlnet: str = "controlnet-landmarks",
    with_identity: bool = True,
) -> PriorFolders:
    """The catalogue's packs for a kind of picture.

    Args:
        path: from a pack's name to its folder, for example `models.store.PackStore().path`.
        kind: what the base model draws.
        controlnet: the pack that holds it to a layout: `controlnet-landmarks` to guide, `controlnet-canny` to draw
            reference maps.
        with_identity: whether the identity adapter is among them.
    """
    return PriorFolders(
        base=path("sd15"),
        controlnet=path(controlnet),
        unet=path(f"text-to-{kind}"),
        face_id=path("ip-adapter-faceid") if with_identity else None,
        vae=path("vae-ft-mse"),
    )


def picture_side(folders: PriorFolders) -> int:
    """Pixels of the pictures that the UNet was trained at: 512 for Stable Diffusion 1.5.

    Raises:
        PortraitHeadError: `wrong_architecture` if the configs of UNet and VAE do not say.
    """
    unet, vae = folders.unet or folders.base / "unet", folders.vae or folders.base / "vae"
    latents, blocks = model_config(unet).get("sample_size"), model_config(vae).get("block_out_channels")
    if not isinstance(latents, int) or not isinstance(blocks, list):
        raise PortraitHeadError("wrong_architecture", f"{unet} and {vae} do not tell the size of pictures.", _CHOOSE)
    return latents * 2 ** (len(blocks) - 1)


def load_pipeline(folders: PriorFolders, dtype: torch.dtype) -> StableDiffusionControlNetPipeline:
    """Everything in one diffusers pipeline, on the CPU, with the identity adapter in its UNet.

    Raises:
        PortraitHeadError: what `models.loading` raises for each part, `wrong_architecture` also for parts that do not
            belong together; `missing_package` without diffusers. For the adapter what `models.weights.load_weights`
            raises.
    """
    diffusers, transformers = libraries()
    parts = {
        "unet": load_pretrained(diffusers.UNet2DConditionModel, folders.unet or folders.base / "unet", dtype),
        "vae": load_pretrained(diffusers.AutoencoderKL, folders.vae or folders.base / "vae", dtype),
        "controlnet": load_pretrained(diffusers.ControlNetModel, folders.controlnet, dtype),
        "text_encoder": load_pretrained(transformers.CLIPTextModel, folders.base / "text_encoder", dtype),
        "tokenizer": load_part(transformers.CLIPTokenizer, folders.base / "tokenizer"),
        "scheduler": load_part(diffusers.DDIMScheduler, folders.base / "scheduler"),
    }
    _check_fit(parts, folders)
    pipeline = diffusers.StableDiffusionControlNetPipeline(
        **parts, safety_checker=None, feature_extractor=None, requires_safety_checker=False
    )
    pipeline.set_progress_bar_config(disable=True)
    if folders.face_id is not None:
        load_face_id(pipeline, folders.face_id)
    for part in (pipeline.unet, pipeline.vae, pipeline.controlnet, pipeline.text_encoder):
        part.requires_grad_(False).eval()
    return pipeline


def load_face_id(pipeline: StableDiffusionControlNetPipeline, path: Path) -> None:
    """Put the FaceID adapter of a file (or of the folder that holds it) into the pipeline's UNet.

    Raises:
        PortraitHeadError: as `load_pipeline`.
    """
    file = path if path.suffix else next((path / name for name in FACE_ID_FILES if (path / name).is_file()), path)
    if not file.is_file():
        raise missing_folder(file, "identity adapter")
    put_face_id(pipeline, face_id_state(file), str(file))


def put_face_id(pipeline: StableDiffusionControlNetPipeline, state: dict[str, dict[str, Tensor]], name: str) -> None:
    """Put the tensors of a FaceID adapter into the pipeline's UNet; `name` is what an error calls them.

    Raises:
        PortraitHeadError: `wrong_architecture`.
    """
    _check_face_id(state, pipeline.unet, name)
    with quiet_libraries():  # it warns that there is no image encoder; a FaceID adapter has none
        pipeline.load_ip_adapter(state, subfolder="", weight_name="", image_encoder_folder=None)  # pyright: ignore[reportArgumentType]


def face_id_state(file: Path) -> dict[str, dict[str, Tensor]]:
    """The two groups of tensors, `image_proj` and `ip_adapter`, of a FaceID file."""
    state: dict[str, dict[str, Tensor]] = {}
    for key, value in load_weights(file).items():
        group, _, name = key.partition(".")
        state.setdefault(group, {})[name] = value
    return state


def noise_schedule(pipeline: StableDiffusionControlNetPipeline) -> NoiseSchedule:
    """The forward process that the pipeline's scheduler was saved with."""
    scheduler: Any = pipeline.scheduler
    kind = scheduler.config.prediction_type
    if kind not in ("epsilon", "v_prediction"):
        message = f"The base model predicts `{kind}`, not noise or velocity."
        raise PortraitHeadError("wrong_architecture", message, _CHOOSE)
    return NoiseSchedule(scheduler.alphas_cumprod.float(), kind)


def _check_fit(parts: dict[str, Any], folders: PriorFolders) -> None:
    """The networks must speak the same widths."""
    unet, vae, controlnet, text = (parts[name].config for name in ("unet", "vae", "controlnet", "text_encoder"))
    widths, others = list(unet.block_out_channels), list(controlnet.block_out_channels)
    unet_folder = folders.unet or folders.base / "unet"
    checks = (
        (unet_folder, "takes", unet.in_channels, vae.latent_channels),
        (unet_folder, "attends to", unet.cross_attention_dim, text.hidden_size),
        (folders.controlnet, "attends to", controlnet.cross_attention_dim, unet.cross_attention_dim),
        (folders.controlnet, "has blocks of", others, widths),
    )
    for folder, verb, found, needed in checks:
        if found != needed:
            message = f"The model in {folder} {verb} {found} channels where its partner has {needed}."
            raise PortraitHeadError("wrong_architecture", message, _CHOOSE)


def _check_face_id(state: dict[str, dict[str, Tensor]], unet: Any, name: str) -> None:
    """A FaceID adapter of the UNet's width: a projection of a 512-vector, keys and values for each cross-attention."""
    projection, attention = state.get("image_proj", {}), state.get("ip_adapter", {})
    if "norm.weight" not in projection or "proj.0.weight" not in projection or not attention:
        raise PortraitHeadError(
            "wrong_architecture",
            f"{name} is not an IP-Adapter-FaceID file.",
            "Use `ip-adapter-faceid-portrait-v11_sd15`, which needs no image encoder.",
        )
    width, identity = unet.config.cross_attention_dim, projection["proj.0.weight"].shape[1]
    if identity != IDENTITY_SIZE or projection["norm.weight"].shape[0] != width:
        raise PortraitHeadError(
            "wrong_architecture",
            f"{name} turns {identity} numbers into tokens of {projection['norm.weight'].shape[0]}; "
            f"{IDENTITY_SIZE} and {width} are needed.",
            _CHOOSE,
        )
    # The adapter counts every attention of the UNet, so that its cross-attentions are 1, 3, 5 and so on.
    for key, attention_name in enumerate(unet.attn_processors):
        if attention_name.endswith("attn1.processor"):
            continue
        weight = attention.get(f"{key}.to_k_ip.weight")
        layer = unet.get_submodule(attention_name.removesuffix(".processor")).to_k
        if weight is None or weight.shape != layer.weight.shape:
            found = "none" if weight is None else list(weight.shape)
            message = f"{name} has {found} where attention {key} of the UNet needs {list(layer.weight.shape)}."
            raise PortraitHeadError("wrong_architecture", message, _CHOOSE)
