"""Downloads from a real server on this machine: whole, broken off, damaged, refused."""

import io
import os
import zipfile
from pathlib import Path

import filelock
import pytest
import torch
from portrait_head.errors import PortraitHeadError
from portrait_head.models.catalogue import Pack
from portrait_head.models.download import download
from portrait_head.models.hosts import list_files
from portrait_head.models.store import PackStore
from portrait_head.models.transfer import CHUNK, Patience, RemoteFile, fetch, part_of
from portrait_head.models.weights import load_weights

from tests.backend.models.conftest import FREE, STRICT, UNET, pickle_bytes, safetensors_bytes, tensors, toy_pack
from tests.backend.models.hub import COMMIT, NEXT_COMMIT

WEIGHTS = "diffusion_pytorch_model.safetensors"
HASTY = Patience(timeout_s=5, attempts=1, first_wait_s=0.01)
PATIENT = Patience(timeout_s=5, attempts=3, first_wait_s=0.01)


def refused(pack, store, licence=FREE, patience=HASTY) -> PortraitHeadError:
    with pytest.raises(PortraitHeadError) as failure:
        download(pack, licence, store, patience=patience)
    return failure.value


def fetched_twice(hub, path: str, contents: bytes) -> int:
    """Bytes of `path` that the server had to send more than once."""
    return hub.sent[path] - len(contents)


def test_a_pack_arrives_with_its_record_and_nothing_else(hub, store):
    steps = []

    record = download(toy_pack(), FREE, store, steps.append, HASTY)

    assert record.revision == COMMIT and record.source == "somebody/toy"
    assert {path.name for path in store.path("toy").iterdir()} == {"config.json", WEIGHTS, "pack.json"}
    assert torch.equal(load_weights(store.path("toy") / WEIGHTS)["layer.weight"], tensors()["layer.weight"])
    assert max(step.done for step in steps) == sum(file.size for file in record.files) == steps[-1].total
    assert not store.half_done("toy")


def test_a_whole_pack_never_touches_the_network(hub, store, monkeypatch):
    download(toy_pack(), FREE, store, patience=HASTY)
    hub.asked.clear()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    download(toy_pack(), FREE, store, patience=HASTY)

    assert store.path("toy").is_dir()
    assert hub.asked == []


def test_offline_is_obeyed_before_anything_is_asked(hub, store, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")

    error = refused(toy_pack(), store)

    assert error.kind == "offline" and "--from FOLDER" in error.hint
    assert hub.asked == []


def test_pickles_are_converted_and_their_checksum_kept(hub, store):
    files = hub.repositories["somebody/toy"][COMMIT]
    del files[WEIGHTS]
    files["diffusion_pytorch_model.bin"] = pickle_bytes()

    record = download(toy_pack(), FREE, store, patience=HASTY)

    assert {path.name for path in store.path("toy").iterdir()} == {"config.json", WEIGHTS, "pack.json"}
    assert [stored for stored, _ in record.converted] == [WEIGHTS]
    assert torch.equal(load_weights(store.path("toy") / WEIGHTS)["layer.weight"], tensors()["layer.weight"])


def test_a_broken_connection_is_picked_up_within_one_download(hub, store):
    hub.breaks_after[WEIGHTS] = 100_000
    hub.busy.add("config.json")

    download(toy_pack(), FREE, store, patience=PATIENT)

    assert fetched_twice(hub, WEIGHTS, safetensors_bytes()) < CHUNK


def test_half_a_download_is_continued_by_the_next_one(hub, store):
    hub.breaks_after[WEIGHTS] = 100_000

    error = refused(toy_pack(), store)
    assert error.kind == "download_failed" and " kB of 481 kB of " in error.message and "continues" in error.hint
    assert store.installed() == () and store.half_done("toy")
    with pytest.raises(PortraitHeadError, match=r"only half downloaded.*portrait-head models download toy"):
        store.path("toy")
    download(toy_pack(), FREE, store, patience=HASTY)

    assert fetched_twice(hub, WEIGHTS, safetensors_bytes()) < CHUNK
    assert hub.sent["config.json"] == len(UNET)
    assert not store.half_done("toy")


def test_a_byte_that_flips_on_the_way_is_noticed_and_fetched_anew(hub, store):
    hub.flips.add(WEIGHTS)

    error = refused(toy_pack(), store)
    assert error.kind == "download_failed" and "checksum" in error.message
    assert "portrait-head models download toy" in error.hint
    download(toy_pack(), FREE, store, patience=HASTY)

    assert store.verify("toy")


def test_a_damaged_pack_is_replaced_by_the_command_that_the_error_names(hub, store):
    download(toy_pack(), FREE, store, patience=HASTY)
    path = store.path("toy") / WEIGHTS
    contents = bytearray(path.read_bytes())
    contents[-1] ^= 1
    path.write_bytes(contents)
    with pytest.raises(PortraitHeadError, match="portrait-head models download toy"):
        store.path("toy")

    download(toy_pack(), FREE, store, patience=HASTY)

    assert store.verify("toy")


def test_a_moving_branch_is_resolved_once_and_kept(hub, store):
    pack = toy_pack(revision="main", pinned=False)
    download(pack, FREE, store, patience=HASTY)
    hub.repositories["somebody/toy"][NEXT_COMMIT] = {"config.json": UNET, WEIGHTS: safetensors_bytes()[::-1]}
    hub.branches["main"] = NEXT_COMMIT

    store.remove("toy")
    assert download(pack, FREE, store, patience=HASTY).revision == COMMIT
    store.remove("toy", forget=True)
    assert download(pack, FREE, store, patience=HASTY).revision == NEXT_COMMIT


def test_a_licence_is_asked_for_once_and_before_the_network(hub, store):
    error = refused(toy_pack(licence="strict"), store, STRICT)

    assert error.kind == "licence_not_accepted"
    assert STRICT.url in error.message and "--accept-licence strict" in error.hint
    assert hub.asked == []
    store.accept("strict")
    download(toy_pack(licence="strict"), STRICT, store, patience=HASTY)
    assert store.record("toy").licence == "strict"


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"revision": NEXT_COMMIT}, "download_gone", NEXT_COMMIT),
        ({"source": "nobody/toy"}, "download_gone", "nobody/toy"),
        ({"files": ("vocab.txt",)}, "wrong_layout", "vocab.txt"),
        ({"classes": {"config.json": "ControlNetModel"}}, "wrong_architecture", "UNet2DConditionModel, not of a"),
    ],
)
def test_what_the_source_does_not_have_is_named(hub, store, changes, kind, said):
    error = refused(toy_pack(**changes), store)

    assert error.kind == kind and said in error.message
    assert store.installed() == ()


def test_no_network_is_said_with_the_way_around_it(store, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")  # nothing listens on the discard port

    for pack in (toy_pack(), toy_pack(host="https", source="http://127.0.0.1:9/files", weights=(), classes={})):
        error = refused(pack, store)
        assert error.kind == "no_network" and "127.0.0.1" in error.message and "--from FOLDER" in error.hint


def test_a_pack_too_large_for_the_disk_is_not_begun(hub, store):
    hub.claimed_sizes[WEIGHTS] = 10**16

    error = refused(toy_pack(), store)

    assert error.kind == "disk_full" and "PORTRAIT_HEAD_MODELS" in error.hint
    assert "10000000.0 GB" in error.message and " free" in error.message
    assert hub.sent == {}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_disk_that_fills_up_is_a_sentence_and_the_download_goes_on_later(hub, store):
    listing = list_files(toy_pack(), COMMIT, HASTY)
    remote = next(file for file in listing.files if file.path == WEIGHTS)
    part = part_of(remote, store.workplace("toy") / "download" / WEIGHTS)
    part.parent.mkdir(parents=True)
    part.symlink_to("/dev/full")

    error = refused(toy_pack(), store)

    assert error.kind == "disk_full" and str(store.folder) in error.message
    part.unlink()
    download(toy_pack(), FREE, store, patience=HASTY)
    assert store.verify("toy")


def test_a_models_folder_that_cannot_be_made_is_a_sentence(hub, tmp_path):
    (tmp_path / "file").write_text("in the way")

    error = refused(toy_pack(), PackStore(tmp_path / "file" / "models"))

    assert error.kind == "models_unwritable" and "PORTRAIT_HEAD_MODELS" in error.hint


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the administrator may write everywhere")
def test_a_read_only_models_folder_is_a_sentence(hub, store):
    store.folder.mkdir()
    store.folder.chmod(0o555)

    assert refused(toy_pack(), store).kind == "models_unwritable"


def test_two_downloads_of_one_pack_do_not_meet(hub, store):
    (store.folder / ".partial").mkdir(parents=True)
    with filelock.FileLock(store.folder / ".partial" / "toy.lock"):
        assert refused(toy_pack(), store).kind == "pack_busy"

    download(toy_pack(), FREE, store, patience=HASTY)


def https_pack(hub) -> Pack:
    hub.files["m/normal.onnx"] = bytes(range(256)) * 1000
    return toy_pack(host="https", source=f"{hub.address}/m", files=("normal.onnx",), weights=(), classes={})


def test_a_plain_file_is_continued_too(hub, store):
    pack = https_pack(hub)
    hub.breaks_after["m/normal.onnx"] = 100_000
    assert refused(pack, store).kind == "download_failed"

    download(pack, FREE, store, patience=HASTY)

    assert fetched_twice(hub, "m/normal.onnx", hub.files["m/normal.onnx"]) < CHUNK
    assert (store.path("toy") / "normal.onnx").read_bytes() == hub.files["m/normal.onnx"]


def test_a_file_of_unknown_size_that_was_all_here_is_fetched_anew(hub, tmp_path):
    https_pack(hub)
    remote, target = RemoteFile("normal.onnx", f"{hub.address}/m/normal.onnx"), tmp_path / "normal.onnx"
    part_of(remote, target).write_bytes(hub.files["m/normal.onnx"])

    fetch(remote, target, lambda count: None, HASTY)

    assert target.read_bytes() == hub.files["m/normal.onnx"]


def test_halves_of_two_versions_are_never_joined(hub, store):
    pack = https_pack(hub)
    hub.breaks_after["m/normal.onnx"] = 100_000
    assert refused(pack, store).kind == "download_failed"
    hub.files["m/normal.onnx"] = bytes(reversed(range(256))) * 1000

    download(pack, FREE, store, patience=HASTY)

    assert (store.path("toy") / "normal.onnx").read_bytes() == hub.files["m/normal.onnx"]


def test_a_source_that_later_hands_out_another_file_is_refused(hub, store):
    pack = https_pack(hub)
    download(pack, FREE, store, patience=HASTY)
    store.remove("toy")
    hub.files["m/normal.onnx"] = b"something else"

    error = refused(pack, store)
    assert error.kind == "pack_changed" and "portrait-head models remove toy --forget" in error.hint
    store.remove("toy", forget=True)
    download(pack, FREE, store, patience=HASTY)

    assert (store.path("toy") / "normal.onnx").read_bytes() == b"something else"


def zipped(folder: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name in ("det_10g.onnx", "w600k_r50.onnx", "genderage.onnx"):
            archive.writestr(f"{folder}{name}", name * 100)
    return packed.getvalue()


def zip_pack(hub) -> Pack:
    return toy_pack(
        host="insightface",
        source=f"{hub.address}/zoo/toy.zip",
        files=("det_10g.onnx", "w600k_r50.onnx"),
        weights=(),
        classes={},
    )


@pytest.mark.parametrize("folder", ["", "toy/"])
def test_an_insightface_zip_is_unpacked_with_or_without_its_inner_folder(hub, store, folder):
    hub.files["zoo/toy.zip"] = zipped(folder)

    record = download(zip_pack(hub), FREE, store, patience=HASTY)

    assert {file.path for file in record.files} == {"det_10g.onnx", "w600k_r50.onnx"}
    assert (store.path("toy") / "w600k_r50.onnx").read_text() == "w600k_r50.onnx" * 100


def test_a_damaged_zip_is_said_and_fetched_anew(hub, store):
    contents = bytearray(zipped(""))
    contents[60] ^= 1  # inside the first file
    hub.files["zoo/toy.zip"] = bytes(contents)
    error = refused(zip_pack(hub), store)
    assert error.kind == "download_failed" and "damaged" in error.message

    hub.files["zoo/toy.zip"] = zipped("")
    download(zip_pack(hub), FREE, store, patience=HASTY)

    assert store.verify("toy")
