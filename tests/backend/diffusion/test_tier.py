"""The diffusion tier as a user runs it, on the processor, with toys of all its packs."""

import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

pytest.importorskip("insightface")
pytest.importorskip("onnx")

from diffusers.pipelines.controlnet.pipeline_controlnet import StableDiffusionControlNetPipeline
from portrait_head import HeadRequest, PortraitHeadError, generate, storage
from portrait_head.asset import read_asset
from portrait_head.cli import main
from portrait_head.diffusion.memory_plan import PLANS
from portrait_head.diffusion.packs import PriorFolders, load_pipeline, pack_folders
from portrait_head.diffusion.presets import DISTILLATIONS
from portrait_head.diffusion.tier import Tier, open_tier
from portrait_head.identity.likeness import YAWS
from portrait_head.models.catalogue import load_catalogue
from portrait_head.models.store import PackStore
from portrait_head.progress import Progress
from portrait_head.request import GUIDANCE
from portrait_head.sculpting.config import preset
from portrait_head.stages import fit, guide, portrait, sculpt, texture
from safetensors.torch import load_file, save_file

from tests.backend.diffusion.pretend_gpu import pretended_gpu
from tests.backend.diffusion.test_full_device import FullDevice
from tests.backend.diffusion.test_guidance import ORBIT, render
from tests.backend.diffusion.test_inpainting import view as half_known
from tests.backend.diffusion.toy_store import fill_store

REQUEST = HeadRequest(photos=("sample",), tier="diffusion", preset="quick", device="cpu", texture_size=1024)


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    """A models folder with the whole set; not to be written to."""
    folder = tmp_path_factory.mktemp("tier")
    fill_store(PackStore(folder / "models"), folder / "toys")
    return folder / "models"


@pytest.fixture(scope="module")
def job(models, tmp_path_factory) -> Path:
    """A finished job."""
    folder = tmp_path_factory.mktemp("diffusion") / "job"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PORTRAIT_HEAD_MODELS", str(models))
        generate(REQUEST, folder)
    return folder


@pytest.fixture
def own(models, tmp_path) -> PackStore:
    """A models folder that a test may spoil."""
    shutil.copytree(models, tmp_path / "models")
    return PackStore(tmp_path / "models")


def refusal(store: PackStore, **changes: str) -> PortraitHeadError:
    with pytest.raises(PortraitHeadError) as caught:
        open_tier(replace(REQUEST, **changes), store=store)
    assert "\n" not in str(caught.value)
    return caught.value


def test_the_asset_is_whole(job):
    asset = read_asset(job / "asset")

    head = asset.meshes[0]
    assert np.isfinite(head.vertices).all() and len(head.shape_keys) == 52
    assert {material.name for material in asset.materials} >= {"skin", "eyes", "mouth", "lashes"}
    assert asset.materials[0].base_color.shape[:2] == (1024, 1024)


def test_the_report_says_with_what_it_was_made_and_how_alike_it_is(job):
    report = json.loads((job / "report.json").read_text())

    assert (report["tier"], report["device"], report["references"]) == ("diffusion", "cpu", "predicted")
    used = {pack["name"]: pack for pack in report["packs"]["used"]}
    assert {"buffalo_l", "face-normals", "sd15", "text-to-normal", "ip-adapter-faceid", "realistic-vision"} <= set(used)
    assert "controlnet-canny" not in used
    assert used["sd15"]["revision"] and used["sd15"]["licence"] == "CreativeML Open RAIL-M"
    assert any("non-commercial" in warning and "buffalo_l" in warning for warning in report["warnings"])
    assert report["identity"]["encoder"] == "buffalo_l"
    similarity = report["identity"]["similarity"]
    assert list(similarity) == [str(yaw) for yaw in YAWS]
    assert all(-1 <= value <= 1 for value in similarity.values())


def test_the_guide_has_the_persons_normals_and_the_portrait_who_it_is(job):
    seen = storage.load(job / "01_portrait", portrait.Portrait)
    guided = storage.load(job / "03_guide", guide.Guide)

    assert seen.identity is not None and seen.identity.vector.shape == (512,)
    assert "non-commercial" in seen.identity.licence
    assert guided.reference_normals is not None and guided.reference_depth is None
    known = guided.reference_normals.any(axis=-1)
    face = guided.face > 0.5
    assert known[face].mean() > 0.95
    np.testing.assert_allclose(np.linalg.norm(guided.reference_normals[known], axis=-1), 1, atol=1e-4)
    assert not known[0].any()


def test_several_photos_say_together_who_it_is(models, job, tmp_path):
    other = tmp_path / "noise.png"
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(other)
    tier = open_tier(REQUEST, store=PackStore(models))
    both = portrait.run(replace(REQUEST, photos=("sample", str(other))), Progress(), tier.face_encoder)
    alone = storage.load(job / "01_portrait", portrait.Portrait)

    assert len(both.identities) == 2 and len(alone.identities) == 1
    np.testing.assert_array_equal(both.identities[0].vector, alone.identities[0].vector)
    assert both.identity is not None and alone.identity is not None
    assert float(both.identity.vector @ alone.identity.vector) < 0.9999


def test_the_guidance_changes_the_sculpt(job):
    seen, fitted = storage.load(job / "01_portrait", portrait.Portrait), storage.load(job / "02_fit", fit.Fit)
    seen_more = storage.load(job / "03_guide", guide.Guide)
    guided = storage.load(job / "04_sculpt", sculpt.Sculpt)
    alone = sculpt.run(REQUEST, seen, fitted, seen_more, Progress(), preset("quick"))

    assert guided.vertices.shape != alone.vertices.shape or np.abs(guided.vertices - alone.vertices).max() > 1e-5


def test_the_models_paint_what_the_photo_did_not_see(job):
    painted = storage.load(job / "05_texture", texture.Texture)

    seen = painted.confidence > 0
    assert seen.mean() > 0.4  # of the texels; this photo alone sees 0.22
    assert painted.skin.std() > 5


def test_a_second_run_repeats_nothing_until_a_pack_changes(job, models, own, monkeypatch):
    monkeypatch.setenv("PORTRAIT_HEAD_MODELS", str(models))
    tier, changed = open_tier(REQUEST, store=PackStore(models)), open_tier(REQUEST, store=own)
    assert tier.version(*tier.guiding) == changed.version(*changed.guiding)
    record = json.loads((own.folder / "sd15" / "pack.json").read_text())
    (own.folder / "sd15" / "pack.json").write_text(json.dumps(record | {"revision": "another"}))
    assert tier.version(*tier.guiding) != changed.version(*changed.guiding)
    assert tier.version(*tier.painting) == changed.version(*changed.painting)

    generate(REQUEST, job)
    report = json.loads((job / "report.json").read_text())
    assert all(stage["resumed"] for stage in report["stages"])


def resumed(job: Path) -> dict[str, bool]:
    """Which stages were found done."""
    return {stage["name"]: stage["resumed"] for stage in json.loads((job / "report.json").read_text())["stages"]}


KEPT = {"portrait", "fit", "guide", "sculpt", "expressions"}


def share_of_skin_that_is_another(before: Path, after: Path) -> float:
    """Of the texels that anything saw; nothing else may differ."""
    done = resumed(after)
    assert {name for name, was_done in done.items() if was_done} == KEPT
    one, other = read_asset(before / "asset"), read_asset(after / "asset")
    for mesh, same in zip(one.meshes, other.meshes, strict=True):
        np.testing.assert_array_equal(mesh.vertices, same.vertices)
    skins = [storage.load(folder / "05_texture", texture.Texture) for folder in (before, after)]
    return float((skins[0].skin != skins[1].skin).any(axis=-1)[skins[0].confidence > 0].mean())


def test_another_style_paints_the_skin_anew_and_keeps_the_shape(job, models, tmp_path, monkeypatch):
    monkeypatch.setenv("PORTRAIT_HEAD_MODELS", str(models))
    shutil.copytree(job, tmp_path / "job")
    options = ["--tier", "diffusion", "--preset", "quick", "--device", "cpu", "--texture-size", "1024"]
    made = ["generate", "--sample", *options, "--style", "a marble statue", "--output", str(tmp_path / "job")]
    assert main(made) == 0

    assert share_of_skin_that_is_another(job, tmp_path / "job") > 0.9  # what the photo saw as well


def test_a_stylised_base_model_paints_the_skin_anew_and_keeps_the_shape(job, own, tmp_path, monkeypatch):
    """It takes the place of the pack that paints; the identity adapter goes into it as into any other."""
    monkeypatch.setenv("PORTRAIT_HEAD_MODELS", str(own.folder))
    shutil.copytree(own.folder / "sd15", tmp_path / "style")
    weights = tmp_path / "style" / "unet" / "diffusion_pytorch_model.safetensors"
    save_file({name: value * 1.1 for name, value in load_file(weights).items()}, weights)
    (tmp_path / "style" / "pack.json").unlink()
    assert main(["models", "download", "realistic-vision", "--from", str(tmp_path / "style")]) == 0
    shutil.copytree(job, tmp_path / "job")
    generate(REQUEST, tmp_path / "job")

    assert 0.2 < share_of_skin_that_is_another(job, tmp_path / "job") < 0.9  # not what the photo saw
    used = {use["name"]: use for use in json.loads((tmp_path / "job" / "report.json").read_text())["packs"]["used"]}
    assert used["realistic-vision"]["revision"] == "local"
    assert "ip-adapter-faceid" in used


def test_every_guidance_that_can_be_asked_for_guides(models):
    """Normals of nothing in particular, pulled by each; the LoRA of `paper-code` stays out of the others' network."""
    pulls = {}
    for name in (*GUIDANCE, GUIDANCE[0]):
        tier = open_tier(replace(REQUEST, guidance=name), store=PackStore(models))
        with tier.guidance(None, np.zeros((478, 3)), "", 0) as guidance:
            view = render()
            guidance(ORBIT, view, 0.5).backward()
            assert view.normals.grad is not None and torch.isfinite(view.normals.grad).all()
            assert name not in pulls or torch.equal(pulls[name], view.normals.grad)
            pulls[name] = view.normals.grad
    assert {DISTILLATIONS[name].estimator for name in GUIDANCE} == {"csd", "ism", "ssd", "sds", "vsd"}
    assert all(float(pull.abs().max()) > 0 for pull in pulls.values())
    for one, other in itertools.combinations(pulls.values(), 2):
        assert float((one - other).norm()) > 0.01 * float(one.norm())


def test_references_drawn_by_the_models_bring_depth_too(job, models):
    seen, fitted = storage.load(job / "01_portrait", portrait.Portrait), storage.load(job / "02_fit", fit.Fit)
    request = replace(REQUEST, references="drawn", prompt="an astronaut")
    tier = open_tier(request, store=PackStore(models))
    with tier.phase():
        guided = guide.run(request, seen, fitted, Progress(), tier)

    assert guided.caption == "an astronaut"
    assert guided.reference_normals is not None and guided.reference_depth is not None
    known = np.isfinite(guided.reference_depth)
    assert 0 < known.mean() < 0.6
    assert guided.reference_normals[known].any(axis=-1).mean() > 0.99
    assert "controlnet-canny" in {use.name for use in tier.uses()}


def test_a_long_prompt_leaves_room_for_what_is_said_of_the_view(models):
    tier = open_tier(REQUEST, store=PackStore(models))
    words, picture = " ".join(map(str, range(99))), np.zeros((8, 8, 3), np.uint8)
    read = tier.caption(words, picture)

    assert read.startswith("0 1 2 3") and len(read.split()) < 30
    (note,) = tier.notes()
    assert "only its first 28 words" in note
    assert tier.caption(words, picture) == read and not tier.notes(), "said once, found once"


def test_a_missing_pack_is_named_with_the_command_that_gets_it(own):
    own.remove("text-to-normal")
    error = refusal(own)

    assert error.kind == "pack_missing" and "text-to-normal" in error.message
    assert "portrait-head models download text-to-normal" in error.hint


def test_a_half_download_is_called_one(own):
    own.remove("sd15")
    part = own.workplace("sd15") / "download" / "unet" / "diffusion_pytorch_model.safetensors.0123456789ab.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"half")
    error = refusal(own)

    assert error.kind == "pack_missing" and "sd15 half downloaded" in error.message
    assert "portrait-head models download sd15" in error.hint


def test_without_any_pack_all_are_named_and_the_licences_that_will_be_asked_for(tmp_path):
    error = refusal(PackStore(tmp_path))

    assert "13 of 13" in error.message and "GB" in error.message
    assert "insightface-research" in error.hint


def test_a_flipped_byte_is_found_before_anything_runs(own):
    file = own.folder / "sd15" / "unet" / "diffusion_pytorch_model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 0xFF
    file.write_bytes(data)
    error = refusal(own)

    assert error.kind == "pack_broken" and "sd15" in error.message
    assert "portrait-head models download sd15" in error.hint


def test_packs_copied_here_by_hand_still_ask_for_their_licence(own):
    (own.folder / "ledger.json").unlink()
    error = refusal(own)

    assert error.kind == "licence_not_accepted"
    assert "--accept-licence insightface-research" in error.hint


def test_a_model_of_another_family_is_refused_when_it_is_loaded(own, tmp_path):
    """Its checksums are those of its installation, so only its shape tells."""
    file = own.folder / "text-to-normal" / "config.json"
    config = json.loads(file.read_text()) | {"cross_attention_dim": 48}
    record = json.loads((own.folder / "text-to-normal" / "pack.json").read_text())
    record["files"] = [entry for entry in record["files"] if entry["path"] != "config.json"]
    (own.folder / "text-to-normal" / "pack.json").write_text(json.dumps(record))
    file.write_text(json.dumps(config))
    tier = open_tier(REQUEST, store=own)

    with (
        pytest.raises(PortraitHeadError) as caught,
        tier.guidance(None, np.zeros((478, 3)), "", 0),
    ):
        pass
    assert caught.value.kind == "wrong_architecture"


def test_the_commercial_set_does_without_the_adapter_and_cannot_draw(tmp_path):
    store = PackStore(tmp_path / "models")
    fill_store(store, tmp_path / "toys", "commercial")
    tier = open_tier(REQUEST, store=store)

    assert tier.packs.name == "commercial" and not tier.knows_the_person
    assert all(use.commercial_use for use in tier.uses())
    with tier.guidance(None, np.zeros((478, 3)), "", 0) as guidance:
        assert callable(guidance)
    with tier.painter(None, np.zeros((478, 3)), "") as painter:
        assert painter.prior.config.side == 32
    assert "predicted" in refusal(store, references="drawn").hint


def test_a_device_that_ran_full_is_in_the_report_and_the_next_phase_begins_small(models):
    """A real network of the tier says once that there is no room for it."""
    tier = open_tier(REQUEST, store=PackStore(models))
    with tier.painter(None, np.zeros((478, 3)), "") as painter:
        cramped = FullDevice(painter.prior, failures=1)
        picture = painter.paint(half_known(), torch.Generator().manual_seed(0))
        assert cramped.failures == 0 and torch.isfinite(picture).all()
    assert tier.plan == PLANS[1]
    (said,) = tier.notes()
    assert "ran full" in said and "“careful”" in said and "Close other programs" in said
    assert tier.notes() == ()
    with tier.guidance(None, np.zeros((478, 3)), "", 0) as guidance:
        assert guidance._prior.plan == PLANS[1]


class LoadedTier(Tier):
    """Works with a pipeline that was loaded before: reading one is not for a pretended GPU."""

    loaded: StableDiffusionControlNetPipeline

    def _pipeline(self, folders: PriorFolders) -> StableDiffusionControlNetPipeline:
        return self.loaded


@pytest.mark.parametrize("plan", PLANS[:2], ids=lambda plan: plan.name)
def test_a_phase_leaves_nothing_on_the_device_although_its_guidance_is_still_held(models, plan):
    store, catalogue = PackStore(models), load_catalogue()
    pipeline = load_pipeline(pack_folders(store.path, "normal"), torch.float32)
    networks = (pipeline.unet, pipeline.vae, pipeline.controlnet)
    with pretended_gpu() as gpu:
        tier = LoadedTier(gpu, catalogue.sets["diffusion"], "predicted", store, catalogue)
        tier.plan, tier.loaded = plan, pipeline
        with tier.guidance(None, np.zeros((478, 3)), "", 0) as guidance:
            assert all(weight.device == gpu for network in networks for weight in network.parameters())
        assert all(weight.device.type == "cpu" for network in networks for weight in network.parameters())
    assert guidance is not None


def test_without_a_gpu_it_says_so(models):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    error = refusal(PackStore(models), device="auto")
    assert error.kind == "no_cuda" and "--device cpu" in error.hint and "embedded" in error.hint
