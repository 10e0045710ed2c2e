"""The LoRA of VSD."""

import torch
from portrait_head.diffusion.packs import load_pipeline
from portrait_head.diffusion.variational import VariationalAdapter, VariationalConfig

from tests.backend.diffusion.toy_packs import TEXT_WIDTH

LATENTS = (1, 4, 64, 64)  # of 512 pixels: with so many numbers a mean's gradient is small


def gradients(packs, dtype: torch.dtype, config: VariationalConfig | None = None) -> torch.Tensor:
    unet = load_pipeline(packs, dtype).unet
    adapter = VariationalAdapter(unet, config or VariationalConfig(), seed=0)
    generator = torch.Generator().manual_seed(0)
    noisy, text, known = (
        torch.randn(shape, generator=generator) for shape in (LATENTS, (1, 7, TEXT_WIDTH), (1, 1, 512))
    )
    with torch.enable_grad(), adapter.enabled():
        output = unet(
            noisy.to(dtype),
            torch.tensor(400),
            encoder_hidden_states=text.to(dtype),
            added_cond_kwargs={"image_embeds": [known.to(dtype)]},
            return_dict=False,
        )[0]
        found = adapter.gradients(output, torch.zeros(LATENTS))
    return torch.cat([one.flatten() for one in found])


def test_half_precision_keeps_the_gradient(packs):
    exact = gradients(packs, torch.float32)

    assert float((gradients(packs, torch.float16) - exact).norm()) < 0.01 * float(exact.norm())


def test_the_loss_is_weighed(packs):
    twice = VariationalConfig(loss_weight=2 * VariationalConfig().loss_weight)

    torch.testing.assert_close(gradients(packs, torch.float32, twice), 2 * gradients(packs, torch.float32))
