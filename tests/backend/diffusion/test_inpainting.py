"""The painter on toy packs of the real classes (UNet, VAE, ControlNets, FaceID adapter, LoRA), read from folders."""

import dataclasses
import shutil

import pytest
import torch
from portrait_head.diffusion.inpainting import (
    PAINTER_FAST,
    PAINTER_PAPER,
    DiffusionPainter,
    PainterConfig,
    PainterFolders,
    denoise,
    encode_normal_picture,
    load_painter,
    painter_folders,
    texture_texts,
    timestep_path,
)
from portrait_head.diffusion.memory_plan import PLANS, MemoryPlan
from portrait_head.diffusion.noise_schedule import stable_diffusion_schedule
from portrait_head.diffusion.prior import PriorConfig, Subject
from portrait_head.diffusion.views import ViewAngles
from portrait_head.errors import PortraitHeadError
from portrait_head.models.catalogue import load_catalogue
from portrait_head.models.loading import libraries
from portrait_head.rendering.orbit import orbit_view
from portrait_head.texturing.view_painting import ViewToPaint
from safetensors.torch import save_file

from tests.backend.diffusion.toy_packs import SIDE, TEXT_WIDTH, WIDTHS, subject

FRONT, SIDEWAYS, BACK = 15.0, 80.0, 180.0
DDIM = dataclasses.replace(PAINTER_PAPER, steps=3, restoring_steps=2)


@pytest.fixture(scope="module")
def folders(packs, tmp_path_factory) -> PainterFolders:
    """The shared toys, with a second ControlNet for inpainting and a LoRA named as the LCM file names its tensors."""
    diffusers, _ = libraries()
    folder = tmp_path_factory.mktemp("painter")
    torch.manual_seed(2)
    inpainting = diffusers.ControlNetModel(
        conditioning_embedding_out_channels=(16, 32),
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        block_out_channels=WIDTHS,
        layers_per_block=1,
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=8,
        norm_num_groups=8,
    )
    for name, weight in inpainting.named_parameters():  # a fresh ControlNet ends in zeros and would say nothing
        if name.startswith(("controlnet_down", "controlnet_mid")) or ".conv_out." in name:
            torch.nn.init.normal_(weight, std=0.2)
    inpainting.save_pretrained(folder / "inpainting")
    unet = diffusers.UNet2DConditionModel.from_pretrained(packs.base / "unet")
    (folder / "few_steps").mkdir()
    save_file(lora_state(unet), folder / "few_steps" / "pytorch_lora_weights.safetensors")
    return PainterFolders(
        packs.base, packs.controlnet, folder / "inpainting", packs.face_id, None, folder / "few_steps"
    )


def lora_state(unet, rank: int = 2) -> dict[str, torch.Tensor]:
    state = {}
    for name, module in unet.named_modules():
        if name.endswith(("to_q", "to_v")):
            key = "lora_unet_" + name.replace(".", "_")
            state[f"{key}.lora_down.weight"] = torch.randn(rank, module.in_features) / 4
            state[f"{key}.lora_up.weight"] = torch.randn(module.out_features, rank) / 4
            state[f"{key}.alpha"] = torch.tensor(float(rank))
    return state


def load(
    folders: PainterFolders,
    config: PainterConfig = PAINTER_FAST,
    whom: Subject | None = None,
    plan: MemoryPlan = PLANS[0],
) -> DiffusionPainter:
    prior_config = PriorConfig(side=SIDE)
    return load_painter(folders, whom or subject(), torch.device("cpu"), plan, torch.float32, config, prior_config)


@pytest.fixture(scope="module")
def painter(folders) -> DiffusionPainter:
    return load(folders)


def view(azimuth: float = FRONT, side: int = SIDE) -> ViewToPaint:
    """A ball of which the left half is known."""
    generator = torch.Generator().manual_seed(3)
    y, x = torch.meshgrid(torch.linspace(1, -1, side), torch.linspace(-1, 1, side), indexing="ij")
    mask = x.square() + y.square() < 0.8
    normals = torch.stack([x, y, (1 - x.square() - y.square()).clamp(min=0).sqrt()], dim=-1) * mask[..., None]
    camera = orbit_view(0.0, azimuth, 0.6, 30.0, torch.zeros(3), side, side).camera
    picture = torch.rand(side, side, 3, generator=generator)
    return ViewToPaint(picture, mask & (x > 0), mask, normals, camera, ViewAngles(azimuth, 0.0))


def paint(painter: DiffusionPainter, what: ViewToPaint, seed: int = 0) -> torch.Tensor:
    return painter.paint(what, torch.Generator().manual_seed(seed))


SETTINGS = [
    PAINTER_FAST,
    DDIM,
    dataclasses.replace(PAINTER_FAST, blending="controlnet"),
    dataclasses.replace(DDIM, blending="controlnet"),
]


@pytest.mark.parametrize("config", SETTINGS, ids=lambda config: f"{config.sampler}-{config.blending}")
def test_known_pixels_are_kept_and_unknown_ones_painted_the_same_for_a_seed(folders, config):
    painter, half = load(folders, config), view()
    painted = paint(painter, half)
    assert torch.equal(painted[~half.unseen], half.picture[~half.unseen])
    assert float((painted - half.picture)[half.unseen].abs().mean()) > 0.02
    assert 0 <= float(painted.min()) <= float(painted.max()) <= 1
    assert torch.equal(paint(painter, half), painted)
    assert not torch.equal(paint(painter, half, seed=1), painted)


def test_identity_changes_what_is_painted_from_the_front_and_nothing_from_behind(folders, painter):
    other = load(folders, whom=subject(seed=1))
    for azimuth, differs in ((FRONT, True), (SIDEWAYS, False), (BACK, False)):
        ours, theirs = paint(painter, view(azimuth)), paint(other, view(azimuth))
        assert torch.equal(ours, theirs) != differs
        assert torch.equal(ours[~view().unseen], theirs[~view().unseen])


def test_the_normals_of_the_view_steer_the_painting(painter):
    ball = view()
    flat = dataclasses.replace(ball, normals=ball.normals.new_tensor([0, 0, 1.0]) * ball.mask[..., None])
    assert not torch.equal(paint(painter, ball), paint(painter, flat))


@pytest.mark.parametrize("blending", ["latent", "controlnet"])
def test_what_is_known_steers_what_is_painted(folders, blending):
    painter = load(folders, dataclasses.replace(PAINTER_FAST, blending=blending))
    half = view()
    darker = dataclasses.replace(half, picture=torch.where(half.unseen[..., None], half.picture, half.picture / 4))
    assert not torch.equal(paint(painter, half)[half.unseen], paint(painter, darker)[half.unseen])


def test_the_inpainting_controlnet_is_not_shown_what_is_unseen(folders):
    painter = load(folders, dataclasses.replace(PAINTER_FAST, blending="controlnet"))
    half = view()
    shown = painter._control_picture(half)
    assert (shown[0, 3:, half.unseen] == -1).all()
    assert torch.equal(shown[0, 3:].permute(1, 2, 0)[~half.unseen], half.picture[~half.unseen])
    assert torch.equal(shown[:, :3], encode_normal_picture(half.normals, half.mask))


def test_caption_and_style_change_the_painting(folders, painter):
    styled = load(folders, whom=subject(caption="a marble statue"))
    assert not torch.equal(paint(styled, view()), paint(painter, view()))
    assert texture_texts("a marble statue.").side.startswith("a marble statue, side view")
    assert "photo" in texture_texts(" ").front
    assert "photo" not in texture_texts("a marble statue").front


def test_the_few_step_lora_is_part_of_the_unet(folders, painter):
    with_lora = dict(painter.prior._unet.named_parameters())
    without = dict(load(folders, DDIM).prior._unet.named_parameters())
    assert with_lora.keys() == without.keys()  # nothing is left beside it at run time
    changed = {name.rsplit(".", 2)[-2] for name, weight in with_lora.items() if not torch.equal(weight, without[name])}
    assert changed == {"to_q", "to_v"}


@pytest.mark.parametrize("config", [PAINTER_FAST, DDIM], ids=lambda config: config.sampler)
def test_restoring_changes_more_from_more_noise_and_is_the_same_for_a_seed(folders, config):
    painter, whole = load(folders, config), view()
    little, much = (painter.restore(whole, t, torch.Generator().manual_seed(0)) for t in (60, 900))
    assert torch.equal(painter.restore(whole, 60, torch.Generator().manual_seed(0)), little)
    # Toy networks restore nothing; what the VAE alone makes of the picture is the nearest that they can come.
    with torch.no_grad():
        through = painter.prior.decode(painter.prior.encode(whole.picture.permute(2, 0, 1)[None]))[0].permute(1, 2, 0)
    assert float((little - through).abs().mean()) < float((much - through).abs().mean())


def test_pictures_of_another_size_come_back_in_it(painter):
    large = view(side=3 * SIDE)
    painted = paint(painter, large)
    assert painted.shape == large.picture.shape
    assert torch.equal(painted[~large.unseen], large.picture[~large.unseen])


@pytest.mark.parametrize("plan", PLANS[1:], ids=lambda plan: plan.name)
def test_smaller_memory_plans_paint_the_same(folders, painter, plan):
    torch.testing.assert_close(paint(load(folders, plan=plan), view()), paint(painter, view()), rtol=1e-4, atol=1e-4)


def test_a_pack_that_the_settings_need_is_named_when_it_is_missing(folders, tmp_path):
    for lacking, config, name in (
        ("few_steps", PAINTER_FAST, "LoRA"),
        ("inpainting", dataclasses.replace(DDIM, blending="controlnet"), "inpainting"),
    ):
        for folder in (None, tmp_path / "nothing"):
            with pytest.raises(PortraitHeadError) as raised:
                load(dataclasses.replace(folders, **{lacking: folder}), config)
            assert raised.value.kind == "pack_missing"
        with pytest.raises(PortraitHeadError, match=name):
            load(dataclasses.replace(folders, **{lacking: None}), config)


def test_a_lora_of_another_network_is_refused(folders, tmp_path):
    shutil.copytree(folders.few_steps, tmp_path / "few_steps")
    file = tmp_path / "few_steps" / "pytorch_lora_weights.safetensors"
    diffusers, _ = libraries()
    unet = diffusers.UNet2DConditionModel.from_pretrained(folders.base / "unet")
    wider = {
        name: torch.cat([value, value], dim=-1) if value.ndim else value for name, value in lora_state(unet).items()
    }
    for state in (wider, {"nothing.known": torch.zeros(2)}):
        save_file(state, file)
        with pytest.raises(PortraitHeadError) as raised:
            load(dataclasses.replace(folders, few_steps=file.parent))
        assert raised.value.kind == "wrong_architecture"


def test_the_packs_are_those_of_the_catalogue(tmp_path):
    known = load_catalogue().packs
    asked = []

    def path(name: str):
        asked.append(name)
        return tmp_path / name

    assert painter_folders(path).inpainting is None
    assert painter_folders(path, dataclasses.replace(DDIM, blending="controlnet")).few_steps is None
    assert set(asked) <= set(known)


class TestNormals:
    """What ControlNet 1.1 calls BAE normals: red left, green up, blue towards the viewer; no holes."""

    @pytest.mark.parametrize(
        ("normal", "colour"),
        [
            ((-1, 0, 0), (1, 0.5, 0.5)),
            ((0, 1, 0), (0.5, 1, 0.5)),
            ((0, 0, 1), (0.5, 0.5, 1)),
            ((1, 0, 0), (0, 0.5, 0.5)),
        ],
    )
    def test_colours_of_directions(self, normal, colour):
        picture = encode_normal_picture(torch.tensor(normal).float().expand(2, 2, 3), torch.ones(2, 2).bool())
        assert torch.equal(picture[0, :, 0, 0], torch.tensor(colour))

    def test_off_the_head_is_a_wall(self):
        picture = encode_normal_picture(torch.zeros(2, 2, 3), torch.zeros(2, 2).bool())
        assert torch.equal(picture[0, :, 1, 1], torch.tensor([0.5, 0.5, 1.0]))


class TestSampling:
    """Our samplers beside those of diffusers."""

    SCHEDULE = stable_diffusion_schedule()
    LATENTS = torch.randn(1, 4, 4, 4, generator=torch.Generator().manual_seed(8))

    @staticmethod
    def predict(noisy: torch.Tensor, timestep: int) -> torch.Tensor:
        return torch.tanh(noisy * (1 + timestep / 1000)) * 0.7

    @pytest.mark.parametrize("sampler", ["ddim", "lcm"])
    def test_steps_are_those_of_diffusers(self, sampler):
        diffusers, _ = libraries()
        settings = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "clip_sample": False}
        if sampler == "ddim":
            scheduler = diffusers.DDIMScheduler(**settings, timestep_spacing="trailing")
        else:
            scheduler = diffusers.LCMScheduler(**settings)
        scheduler.set_timesteps(4)
        path = [int(timestep) for timestep in scheduler.timesteps]
        generator = torch.Generator().manual_seed(9)
        noise = torch.randn(self.LATENTS.shape, generator=generator)
        expected = scheduler.add_noise(self.LATENTS, noise, scheduler.timesteps[:1])
        more = {"generator": generator} if sampler == "lcm" else {}
        for timestep in path:
            output = self.predict(expected, timestep)
            expected = scheduler.step(output, timestep, expected, **more).prev_sample
        found = denoise(self.LATENTS, path, self.predict, self.SCHEDULE, sampler, torch.Generator().manual_seed(9))
        # DDIM of diffusers ends at alpha_0, which is 0.9996, not at 1.
        torch.testing.assert_close(found, expected, rtol=0.02 if sampler == "ddim" else 1e-3, atol=0.02)

    def test_kept_latents_stay(self):
        keep = torch.zeros(1, 1, 4, 4)
        keep[..., :2] = 1
        generator = torch.Generator().manual_seed(0)
        found = denoise(self.LATENTS, [999, 499], self.predict, self.SCHEDULE, "ddim", generator, keep)
        assert torch.equal(found[..., :2], self.LATENTS[..., :2])
        assert not torch.allclose(found[..., 2:], self.LATENTS[..., 2:], atol=0.1)

    def test_paths_fall_from_their_start(self):
        assert timestep_path(999, 4, "lcm") == [999, 759, 499, 259]
        assert timestep_path(949, 20, "ddim")[:2] == [949, 902]
        for sampler in ("ddim", "lcm"):
            for start in (1, 50, 199, 999):
                path = timestep_path(start, 5, sampler)
                assert path == sorted(set(path), reverse=True)
                assert path[-1] >= 0
                assert abs(path[0] - start) <= 19
