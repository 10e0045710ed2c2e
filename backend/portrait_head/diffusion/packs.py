"""Stable Diffusion, its ControlNet and its identity adapter read from local folders, checked before they are trusted.

This is the one place where `diffusers` and `transformers` are imported. Nothing is ever fetched; weights are
safetensors, or pickles read with `weights_only`.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from portrait_head.diffusion.guidance_images import RenderKind
from portrait_head.diffusion.noise_schedule import NoiseSchedule
from portrait_head.errors import PortraitHeadError
from portrait_head.models.weights import load_weights

if TYPE_CHECKING:
    from diffusers.pipelines.controlnet.pipeline_controlnet import StableDiffusionControlNetPipeline

IDENTITY_SIZE = 512  # an ArcFace vector
FACE_ID_FILES = ("ip-adapter-faceid-portrait-v11_sd15.safetensors", "ip-adapter-faceid-portrait-v11_sd15.bin")
_VERIFY = "Check it with `portrait-head models verify` and download it again if that finds damage."
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
    path: Callable[[str], Path], kind: RenderKind, controlnet: str = "controlnet-landmarks"
) -> PriorFolders:
    """The catalogue's packs for a kind of picture.

    Args:
        path: from a pack's name to its folder, for example `models.store.PackStore().path`.
        kind: what the base model draws.
        controlnet: the pack that holds it to a layout: `controlnet-landmarks` to guide, `controlnet-canny` to draw
            reference maps.
    """
    return PriorFolders(
        base=path("sd15"),
        controlnet=path(controlnet),
        unet=path(f"text-to-{kind}"),
        face_id=path("ip-adapter-faceid"),
        vae=path("vae-ft-mse"),
    )


def load_pipeline(folders: PriorFolders, dtype: torch.dtype) -> StableDiffusionControlNetPipeline:
    """Everything in one diffusers pipeline, on the CPU, with the identity adapter in its UNet.

    Raises:
        PortraitHeadError: a folder or file is missing (`pack_missing`), cannot be read (`pack_broken`), or is of
            another architecture (`wrong_architecture`); `package_missing` without diffusers. For the adapter also what
            `models.weights.load_weights` raises.
    """
    diffusers, transformers = libraries()
    parts = {
        "unet": _model(diffusers.UNet2DConditionModel, folders.unet or folders.base / "unet", dtype),
        "vae": _model(diffusers.AutoencoderKL, folders.vae or folders.base / "vae", dtype),
        "controlnet": _model(diffusers.ControlNetModel, folders.controlnet, dtype),
        "text_encoder": _model(transformers.CLIPTextModel, folders.base / "text_encoder", dtype),
        "tokenizer": _part(transformers.CLIPTokenizer, folders.base / "tokenizer"),
        "scheduler": _part(diffusers.DDIMScheduler, folders.base / "scheduler"),
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
        raise _missing(file, "identity adapter")
    put_face_id(pipeline, face_id_state(file), str(file))


def put_face_id(pipeline: StableDiffusionControlNetPipeline, state: dict[str, dict[str, Tensor]], name: str) -> None:
    """Put the tensors of a FaceID adapter into the pipeline's UNet; `name` is what an error calls them.

    Raises:
        PortraitHeadError: `wrong_architecture`.
    """
    _check_face_id(state, pipeline.unet, name)
    with quiet():  # it warns that there is no image encoder; a FaceID adapter has none
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


def libraries() -> tuple[Any, Any]:
    """The modules diffusers and transformers.

    Raises:
        PortraitHeadError: `package_missing`.
    """
    try:
        import diffusers
        import transformers
    except ImportError as error:
        raise PortraitHeadError(
            "package_missing",
            f"The diffusion tier needs a package that is not installed: {error.name}.",
            "Install it with: pip install 'portrait_head[cuda]'.",
        ) from error
    return diffusers, transformers


def _model(kind: Any, folder: Path, dtype: torch.dtype) -> Any:
    """A network from its folder, with every weight that its architecture has."""
    _check_class(kind, folder)
    # Some sources publish their 16-bit weights only, under a name of their own.
    half = any(folder.glob("*.fp16.safetensors")) and not any(folder.glob("*model.safetensors"))
    with readable(folder), quiet():
        model, info = kind.from_pretrained(
            folder,
            dtype=dtype,
            variant="fp16" if half else None,
            local_files_only=True,
            output_loading_info=True,
        )
    lacking = [*info["missing_keys"], *info["mismatched_keys"]]
    if lacking:
        raise PortraitHeadError(
            "pack_broken", f"The weights in {folder} lack {len(lacking)} tensors, the first is {lacking[0]}.", _VERIFY
        )
    return model


def _part(kind: Any, folder: Path) -> Any:
    """A tokenizer or scheduler from its folder."""
    if not folder.is_dir():
        raise _missing(folder, kind.__name__)
    with readable(folder):
        return kind.from_pretrained(folder, local_files_only=True)


def _check_class(kind: Any, folder: Path) -> None:
    """A folder says which class wrote it; another class would load it as noise."""
    file = folder / "config.json"
    if not file.is_file():
        raise _missing(file, kind.__name__)
    with readable(file):
        config = json.loads(file.read_text(encoding="utf-8"))
    said = config.get("_class_name") or (config.get("architectures") or [kind.__name__])[0]
    if said != kind.__name__:
        raise PortraitHeadError("wrong_architecture", f"{folder} holds a {said}, not a {kind.__name__}.", _CHOOSE)


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


def _missing(path: Path, what: str) -> PortraitHeadError:
    return PortraitHeadError(
        "pack_missing",
        f"There is no {what} at {path}.",
        "Download its pack with `portrait-head models download`, or point to a folder that has it.",
    )


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Whatever a library says about a broken file becomes one sentence."""
    try:
        yield
    except (OSError, SafetensorError, ValueError, RuntimeError, KeyError, EOFError, pickle.UnpicklingError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise PortraitHeadError("pack_broken", f"{path} cannot be read: {reason}", _VERIFY) from error


@contextmanager
def quiet() -> Iterator[None]:
    """Without the libraries' warnings and bars: what matters in them is checked here and raised."""
    from diffusers.utils import logging as diffusers_log
    from transformers.utils import logging as transformers_log

    before = diffusers_log.get_verbosity(), transformers_log.get_verbosity()
    diffusers_log.set_verbosity_error()
    transformers_log.set_verbosity_error()
    diffusers_log.disable_progress_bar()
    transformers_log.disable_progress_bar()
    try:
        yield
    finally:
        diffusers_log.set_verbosity(before[0])
        transformers_log.set_verbosity(before[1])
        diffusers_log.enable_progress_bar()
        transformers_log.enable_progress_bar()
