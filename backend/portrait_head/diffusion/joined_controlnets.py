"""Several ControlNets that answer as one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class JoinedControlNets(torch.nn.Module):
    """The sum of ControlNets, their pictures of 3 channels each stacked along the channels.

    So whoever holds one ControlNet and one picture may hold several without knowing it.
    """

    def __init__(self, nets: Sequence[torch.nn.Module], scales: Sequence[float]) -> None:
        """Join nets, each weighted by its scale."""
        super().__init__()
        self.nets = torch.nn.ModuleList(nets)
        self.scales = tuple(scales)

    def forward(
        self,
        sample: Tensor,
        timestep: Tensor,
        encoder_hidden_states: Tensor,
        controlnet_cond: Tensor,
        conditioning_scale: float = 1.0,
        return_dict: bool = False,
    ) -> tuple[list[Tensor], Tensor]:
        """What to add to the UNet's down blocks and its middle; see diffusers' `ControlNetModel.forward`."""
        pictures = controlnet_cond.split(3, dim=1)
        if return_dict or len(pictures) != len(self.nets):
            raise ValueError(f"{len(self.nets)} ControlNets were given {len(pictures)} pictures")
        down: list[Tensor] = []
        middle: Any = 0.0
        for net, picture, scale in zip(self.nets, pictures, self.scales, strict=True):
            more, centre = net(
                sample,
                timestep,
                encoder_hidden_states=encoder_hidden_states,
                controlnet_cond=picture,
                conditioning_scale=scale * conditioning_scale,
                return_dict=False,
            )
            down = [one + other for one, other in zip(down, more, strict=True)] if down else list(more)
            middle = middle + centre
        return down, middle
