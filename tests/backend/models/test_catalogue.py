"""The catalogue that is shipped, and what is said of one that is wrong."""

import pytest
from portrait_head.errors import PortraitHeadError
from portrait_head.models.catalogue import load_catalogue

GOOD = """
[licences.mit]
title = "MIT License"
url = "https://opensource.org/license/mit"
commercial_use = true
accept = false
asks = "Keep the notice."

[packs.toy]
title = "Toy"
purpose = "Shows how it works."
host = "huggingface"
source = "somebody/toy"
revision = "0123456789abcdef0123456789abcdef01234567"
pinned = true
licence = "mit"
size_mb = 3
files = ["config.json"]

[sets.all]
title = "All"
packs = ["toy"]
"""


def test_the_catalogue_has_a_pack_for_every_use():
    packs = load_catalogue().packs

    assert {
        "sd15", "realistic-vision", "vae-ft-mse", "text-to-normal", "text-to-depth", "controlnet-canny",
        "controlnet-normal", "controlnet-inpaint", "controlnet-landmarks", "ip-adapter-faceid", "antelopev2",
        "buffalo_l", "auraface", "clip-vision", "few-step-lora", "face-normals", "captions",
    } == packs.keys()  # fmt: skip


def test_commercial_use_is_what_the_licence_says_and_research_licences_ask_for_a_yes():
    catalogue = load_catalogue()

    for pack in catalogue.packs.values():
        licence = catalogue.licence_of(pack)
        assert pack.commercial_use == licence.commercial_use
        assert licence.accept or licence.commercial_use
    assert all(pack.commercial_use for pack in catalogue.expand(["commercial"]))
    assert not catalogue.pack("buffalo_l").commercial_use


def test_insightface_packs_come_from_where_insightface_gets_them():
    storage = pytest.importorskip("insightface.utils.storage")

    for name in ("buffalo_l", "antelopev2"):
        assert load_catalogue().pack(name).source == storage.model_zoo_download_url(f"{name}.zip")


def test_sets_and_packs_expand_to_each_pack_once():
    packs = load_catalogue().expand(["sd15", "diffusion", "sd15"])

    names = [pack.name for pack in packs]
    assert names[0] == "sd15" and len(set(names)) == len(names) > 5


def test_an_unknown_pack_is_answered_with_the_nearest_name():
    with pytest.raises(PortraitHeadError, match="Did you mean text-to-normal") as failure:
        load_catalogue().pack("text2normal")

    assert failure.value.kind == "unknown_pack"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('licence = "mit"', 'licence = "gpl"', "licence is 'gpl'"),
        ('title = "Toy"', "", "packs.toy title is missing"),
        ("size_mb = 3", 'size_mb = "3"', "size_mb must be of type int"),
        ("size_mb = 3", "size_mb = 0", "size_mb is 0"),
        ("size_mb = 3", "size = 3", "has 'size'"),
        ("pinned = true", "pinned = 1", "pinned must be of type bool"),
        ("89abcdef01234567", "", "is no commit"),
        ('["config.json"]', '["../config.json"]', "leads out of the pack"),
        ('["config.json"]', '"config.json"', "files must be a list"),
        ('["config.json"]', "[]", "neither files nor weights"),
        ('"huggingface"', '"ftp"', "host is 'ftp'"),
        ('"huggingface"', '"https"', "no address"),
        ("size_mb = 3", 'size_mb = 3\nnormal_axes = ["right", "left", "up"]', "one along each axis"),
        ('["toy"]', '["toy", "ball"]', "'ball', which is not in the catalogue"),
        ("[sets.all]", "[sets.toy]", "the name of a pack"),
        ("[sets.all]", "[packages.all]", "packages is no section"),
        ("[packs.toy]", "[packs.'my toy']", "names consist of"),
        ("[packs.toy]", "[packs.toy", "cannot be read"),
    ],
)
def test_a_wrong_catalogue_is_refused_with_the_entry_and_the_field(tmp_path, old, new, said):
    path = tmp_path / "catalogue.toml"
    assert old in GOOD
    path.write_text(GOOD.replace(old, new), encoding="utf-8")

    with pytest.raises(PortraitHeadError) as failure:
        load_catalogue(path)

    assert failure.value.kind == "bad_catalogue"
    assert said in failure.value.message


def test_the_pattern_of_these_tests_is_itself_good(tmp_path):
    path = tmp_path / "catalogue.toml"
    path.write_text(GOOD, encoding="utf-8")

    assert load_catalogue(path).pack("toy").commercial_use
