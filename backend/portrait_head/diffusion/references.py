"""Equation 4 of ID-Sculpt: reference normals and depth of the photo, drawn by text-to-normal and text-to-depth models.

The photo's edges (Canny) hold the drawing to its outlines through a ControlNet, and the identity adapter to the person.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from torch import Tensor

from portrait_head.diffusion.captions import prompt_texts
from portrait_head.diffusion.guidance_images import RenderKind, decode_depth, decode_normals
from portrait_head.diffusion.memory_plan import MemoryPlan, smaller_plan, within_memory
from portrait_head.diffusion.packs import PriorFolders, load_pipeline
from portrait_head.diffusion.reference_maps import ReferenceMaps, ReferencePhoto
from portrait_head.models.face_normals import FaceNormals
from portrait_head.models.normal_axes import check_axes

if TYPE_CHECKING:
    from diffusers.pipelines.controlnet.pipeline_controlnet import StableDiffusionControlNetPipeline


@dataclass(frozen=True)
class ReferenceConfig:
    """Settings of the drawings; where nothing else is said, those of ID-Sculpt's public preprocessing."""

    side: int = 512  # pixels; what Stable Diffusion 1.5 was trained at
    steps: int = 30
    guidance_scale: float = 7.5  # the pipeline's default, which that code leaves as it is
    normal_identity_scale: float = 0.5
    depth_identity_scale: float = 0.1
    canny: tuple[int, int] = (100, 200)
    least_inverse_depth: float = 0.2  # darker pixels of the depth picture are background


@dataclass(frozen=True)
class ReferenceFolders:
    """Packs in the layouts of their sources; see `PriorFolders`.

    Attributes:
        normal: with the text-to-normal UNet, the Canny ControlNet and the identity adapter.
        depth: with the text-to-depth UNet instead.
    """

    normal: PriorFolders
    depth: PriorFolders


def generate_references(
    photo: ReferencePhoto,
    folders: ReferenceFolders,
    device: torch.device,
    plan: MemoryPlan,
    dtype: torch.dtype,
    config: ReferenceConfig | None = None,
    seed: int = 2024,
    shrunk: Callable[[MemoryPlan], None] = lambda plan: None,
) -> ReferenceMaps:
    """Draw both maps, one model after the other.

    Args:
        photo: what the drawings start from.
        folders: the packs.
        device: where to compute.
        plan: how to share its memory.
        dtype: of the weights.
        config: settings.
        seed: of both drawings; ID-Sculpt's.
        shrunk: told the smaller plan if one had to be taken.

    Raises:
        PortraitHeadError: `out_of_memory` after one retry with the next smaller plan; as `packs.load_pipeline`.
    """
    config = config or ReferenceConfig()
    if photo.picture.shape[0] != photo.picture.shape[1]:
        raise ValueError(f"the picture must be square, not {photo.picture.shape[1]} x {photo.picture.shape[0]}")
    mask = cv2.resize(photo.mask.astype(np.float32), (config.side, config.side), interpolation=cv2.INTER_AREA)
    edges = canny_picture(photo.picture, mask, config)
    painter = _Painter(device, plan, dtype, config, seed, shrunk)
    normal_picture = painter.draw(folders.normal, "normal", photo, edges, config.normal_identity_scale)
    depth_picture = painter.draw(folders.depth, "depth", photo, edges, config.depth_identity_scale)
    covered = torch.from_numpy(mask) > 0.5
    near_enough = covered & (depth_picture[0].mean(dim=0) > config.least_inverse_depth)
    return ReferenceMaps(
        decode_normals(normal_picture, covered.float()).numpy(),
        decode_depth(depth_picture, near_enough.float()).numpy(),
        covered.numpy(),
        near_enough.numpy(),
    )


def predict_references(photo: ReferencePhoto, predictor: FaceNormals) -> ReferenceMaps:
    """Normals at the photo's own size by a network trained on faces, much faster than drawing; it tells no depth.

    They are held against the fitted head, if the photo brings it: a flipped axis is turned, and what does not show this
    face at all is left out, which the maps' notes say.
    """
    mask = photo.mask > 0.5
    normals = predictor.predict(photo.picture, mask)
    notes: list[str] = []
    if photo.fitted is not None and photo.face is not None:
        check = check_axes(normals, photo.fitted, photo.face)
        if check.agrees:
            normals = normals * check.signs
            notes += [
                f"The normals of the pack {predictor.pack} point {how}; they were turned." for how in check.flipped
            ]
        else:
            normals = np.zeros_like(normals)
            notes.append(
                f"The normals of the pack {predictor.pack} do not show the face that was found in the photo, and were "
                "left out. Use --references drawn, or a photo that shows the face better."
            )
    nothing = np.zeros(mask.shape, np.float32)
    return ReferenceMaps(normals, nothing, mask & normals.any(axis=-1), nothing > 0, tuple(notes))


def canny_picture(picture: np.ndarray, mask: np.ndarray, config: ReferenceConfig) -> Tensor:
    """The edges [1, 3, side, side] in 0..1 of a picture [S, S, 3] uint8 before black, mask [side, side] in 0..1."""
    small = cv2.resize(picture, (config.side, config.side), interpolation=cv2.INTER_AREA)
    alone = (small * (mask > 0.5)[..., None]).astype(np.uint8)
    edges = cv2.Canny(cv2.cvtColor(alone, cv2.COLOR_RGB2GRAY), *config.canny)
    return torch.from_numpy(edges / 255.0).float()[None, None].expand(1, 3, -1, -1)


class _Painter:
    """Draws pictures with one pipeline in memory at a time."""

    def __init__(
        self,
        device: torch.device,
        plan: MemoryPlan,
        dtype: torch.dtype,
        config: ReferenceConfig,
        seed: int,
        shrunk: Callable[[MemoryPlan], None],
    ) -> None:
        self._device, self._plan, self._dtype = device, plan, dtype
        self._config, self._seed, self._shrunk = config, seed, shrunk

    def draw(
        self, folders: PriorFolders, kind: RenderKind, photo: ReferencePhoto, edges: Tensor, identity_scale: float
    ) -> Tensor:
        """A picture [1, 3, side, side] in 0..1, float32 on the CPU."""
        return within_memory(
            lambda: self._draw(self._pipeline(folders), kind, photo, edges, identity_scale),
            self._shrink,
            f"drawing the {kind} map of the photo",
        )

    def _draw(
        self,
        pipeline: StableDiffusionControlNetPipeline,
        kind: RenderKind,
        photo: ReferencePhoto,
        edges: Tensor,
        identity_scale: float,
    ) -> Tensor:
        texts = prompt_texts(photo.caption, kind)
        identity = None
        if pipeline.unet.encoder_hid_proj is not None:
            pipeline.set_ip_adapter_scale(identity_scale)
            known = torch.as_tensor(photo.identity, dtype=self._dtype, device=self._device)
            identity = [torch.stack([torch.zeros_like(known), known])[:, None]]
        drawn = pipeline(
            prompt=f"{texts.plain}, head only",
            negative_prompt=texts.negative,
            image=edges,  # pyright: ignore[reportArgumentType]
            num_inference_steps=self._config.steps,
            guidance_scale=self._config.guidance_scale,
            ip_adapter_image_embeds=identity,
            generator=torch.Generator().manual_seed(self._seed),
            output_type="pt",
        )
        return drawn.images.float().cpu()  # pyright: ignore[reportAttributeAccessIssue]

    def _pipeline(self, folders: PriorFolders) -> StableDiffusionControlNetPipeline:
        pipeline = load_pipeline(folders, self._dtype)
        if self._plan.offload:
            pipeline.enable_model_cpu_offload(device=self._device)
        else:
            pipeline.to(self._device)
        return pipeline

    def _shrink(self) -> bool:
        # The pipeline has one means only, which the plans in between do without.
        smaller = smaller_plan(self._plan)
        if smaller is None:
            return False
        self._plan = dataclasses.replace(smaller, offload=True)
        self._shrunk(self._plan)
        return True
