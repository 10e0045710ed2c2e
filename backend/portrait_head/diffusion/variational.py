"""The second network of VSD: a LoRA on the same UNet that learns what the renders look like."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from portrait_head.models.packages import missing

if TYPE_CHECKING:
    from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

_ADAPTER = "renders"
_LAYERS = ["to_q", "to_k", "to_v", "to_out.0"]


@dataclass(frozen=True)
class VariationalConfig:
    """How the LoRA is built and trained."""

    rank: int = 4  # diffusers' LoRA default, which ProlificDreamer and ID-Sculpt's code leave as it is
    learning_rate: float = 1e-4  # ProlificDreamer
    loss_weight: float = 0.5  # ID-Sculpt's code


class VariationalAdapter:
    """A LoRA through peft, in float32, switched off unless `enabled`."""

    def __init__(self, unet: UNet2DConditionModel, config: VariationalConfig, seed: int) -> None:
        """Put the LoRA into the UNet; its first answer is the UNet's own.

        Raises:
            PortraitHeadError: `missing_package` without peft.
        """
        try:
            from peft import LoraConfig
        except ImportError as error:
            raise missing("peft", error) from error
        self._unet = unet
        self._config = config
        lora = LoraConfig(r=config.rank, lora_alpha=config.rank, init_lora_weights=True, target_modules=_LAYERS)
        # peft draws the first weights from the global generator; the draw is kept out of everybody else's sequence.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            unet.add_adapter(lora, adapter_name=_ADAPTER)
        self._weights = [weight for name, weight in unet.named_parameters() if f".{_ADAPTER}." in name]
        for weight in self._weights:
            weight.data = weight.data.float()
        self._optimiser = torch.optim.AdamW(self._weights, lr=config.learning_rate)
        unet.disable_adapters()

    @contextmanager
    def enabled(self) -> Iterator[None]:
        """The UNet answers with the LoRA inside this block."""
        self._unet.enable_adapters()
        try:
            yield
        finally:
            self._unet.disable_adapters()

    def step(self, output: torch.Tensor, target: torch.Tensor) -> None:
        """Move the LoRA so that the UNet's `output` (made with it, with a graph) comes nearer to `target`."""
        self._optimiser.zero_grad(set_to_none=True)
        for weight, gradient in zip(self._weights, self.gradients(output, target), strict=True):
            weight.grad = gradient
        self._optimiser.step()

    def gradients(self, output: torch.Tensor, target: torch.Tensor) -> list[torch.Tensor]:
        """Those of the weighted mean squared error with respect to the LoRA's weights."""
        loss = torch.nn.functional.mse_loss(output.float(), target.float(), reduction="sum")
        # The mean is taken last: divided first, float16 would lose a good part of it on the way through the UNet.
        share = self._config.loss_weight / output.numel()
        return [share * gradient for gradient in torch.autograd.grad(loss, self._weights)]
