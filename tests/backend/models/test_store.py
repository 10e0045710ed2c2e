"""Packs on this computer: whole, damaged, copied, removed."""

import os
import shutil
from pathlib import Path

import pytest
from portrait_head.errors import PortraitHeadError
from portrait_head.models.install import install_folder
from portrait_head.models.store import PackStore, models_folder

from tests.backend.models.conftest import UNET, pickle_bytes, safetensors_bytes, toy_pack

WEIGHTS = "diffusion_pytorch_model.safetensors"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of the user with the files of the toy pack, and others."""
    folder = tmp_path / "my downloads"
    folder.mkdir()
    (folder / "config.json").write_bytes(UNET)
    (folder / WEIGHTS).write_bytes(safetensors_bytes())
    (folder / "holiday.jpg").write_bytes(b"beach")
    return folder


def flip_last_byte(path: Path) -> None:
    contents = bytearray(path.read_bytes())
    contents[-1] ^= 1
    path.write_bytes(contents)


def kind_of(call) -> str:
    with pytest.raises(PortraitHeadError) as failure:
        call()
    return failure.value.kind


def test_a_missing_pack_is_answered_with_the_command_that_gets_it(store):
    with pytest.raises(PortraitHeadError, match="Get it with: portrait-head models download sd15") as failure:
        store.path("sd15")

    assert failure.value.kind == "pack_missing"
    assert store.installed() == ()


def test_a_folder_of_the_user_becomes_a_pack_and_stays_as_it_is(store, folder):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    record = install_folder(toy_pack(), folder, store)

    assert store.installed() == ("toy",)
    assert {path.name for path in store.path("toy").iterdir()} == {"config.json", WEIGHTS, "pack.json"}
    assert record.source == str(folder) and record.revision == "local"
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    flip_last_byte(folder / WEIGHTS)
    assert store.verify("toy")  # it is a copy


def test_a_folder_with_a_pickle_is_converted(store, folder):
    (folder / WEIGHTS).unlink()
    (folder / "diffusion_pytorch_model.bin").write_bytes(pickle_bytes())

    install_folder(toy_pack(), folder, store)

    assert (store.path("toy") / WEIGHTS).is_file()


def test_a_folder_of_something_else_is_refused_and_leaves_no_pack(store, folder):
    (folder / "config.json").write_text('{"_class_name": "AutoencoderKL"}')

    assert kind_of(lambda: install_folder(toy_pack(), folder, store)) == "wrong_architecture"
    assert kind_of(lambda: install_folder(toy_pack(), folder / "nowhere", store)) == "no_folder"
    assert store.installed() == ()


def test_a_flipped_byte_is_noticed_when_the_pack_is_used(store, folder):
    install_folder(toy_pack(), folder, store)
    flip_last_byte(store.folder / "toy" / WEIGHTS)

    with pytest.raises(PortraitHeadError, match=f"contents of {WEIGHTS} have changed") as failure:
        store.path("toy")

    assert failure.value.kind == "pack_broken"
    assert "portrait-head models download toy" in failure.value.hint


def test_a_byte_that_flips_behind_the_systems_back_is_noticed_by_verify(store, folder):
    install_folder(toy_pack(), folder, store)
    path = store.folder / "toy" / WEIGHTS
    stamp = path.stat()
    flip_last_byte(path)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))

    assert store.path("toy")
    assert kind_of(lambda: store.verify("toy")) == "pack_broken"


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_bytes(b"short")])
def test_a_missing_or_short_file_is_noticed(store, folder, harm):
    install_folder(toy_pack(), folder, store)
    harm(store.folder / "toy" / WEIGHTS)

    assert kind_of(lambda: store.path("toy")) == "pack_broken"


def test_an_unreadable_record_is_a_damaged_pack(store, folder):
    install_folder(toy_pack(), folder, store)
    (store.folder / "toy" / "pack.json").write_text("{")

    assert kind_of(lambda: store.path("toy")) == "pack_broken"


def test_a_models_folder_copied_with_new_time_stamps_still_holds(store, folder, tmp_path):
    install_folder(toy_pack(), folder, store)
    shutil.copytree(store.folder, tmp_path / "copy", copy_function=shutil.copyfile)

    assert PackStore(tmp_path / "copy").path("toy").is_dir()


def test_a_pack_from_another_computer_keeps_its_origin_and_is_checked(store, folder, tmp_path):
    install_folder(toy_pack(), folder, store)
    other = PackStore(tmp_path / "other")

    assert install_folder(toy_pack(), store.folder / "toy", other).source == str(folder)
    flip_last_byte(store.folder / "toy" / WEIGHTS)
    assert kind_of(lambda: install_folder(toy_pack(), store.folder / "toy", other)) == "copy_damaged"


def test_removing_gives_the_space_back(store, folder):
    record = install_folder(toy_pack(), folder, store)

    assert store.remove("toy") >= record.size
    assert store.installed() == () and not (store.folder / "toy").exists()
    assert kind_of(lambda: store.remove("toy")) == "pack_missing"


def test_a_licence_accepted_stays_accepted(store):
    assert not store.accepted("openrail")

    store.accept("openrail")

    assert PackStore(store.folder).accepted("openrail")
    assert not store.accepted("other")


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a place where nobody can make a folder")
def test_a_models_folder_that_cannot_be_made_is_said():
    with pytest.raises(PortraitHeadError) as caught:
        PackStore(Path("/proc/none/models")).accept("mit")

    assert caught.value.kind == "models_unwritable" and "PORTRAIT_HEAD_MODELS" in caught.value.hint


def test_a_spoilt_ledger_is_named(store):
    store.accept("openrail")
    (store.folder / "ledger.json").write_text("[]")

    assert kind_of(lambda: store.accepted("openrail")) == "models_ledger"


def test_the_environment_names_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("PORTRAIT_HEAD_MODELS", str(tmp_path))
    assert models_folder() == tmp_path == PackStore().folder
    monkeypatch.delenv("PORTRAIT_HEAD_MODELS")
    assert models_folder().parts[-2:] == ("portrait-head", "models")
