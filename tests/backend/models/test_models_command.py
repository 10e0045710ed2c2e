"""`portrait-head models` as a person types it."""

import argparse
import io

import pytest
from portrait_head.commands import models
from portrait_head.errors import PortraitHeadError
from portrait_head.models.store import PackStore

from tests.backend.models.conftest import safetensors_bytes


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Runs the command with its words and returns (exit status, what it said)."""
    monkeypatch.setenv("PORTRAIT_HEAD_MODELS", str(tmp_path / "models"))
    monkeypatch.setattr("sys.stdin", io.StringIO(""))

    def command(*words: object) -> tuple[int, str]:
        parser = argparse.ArgumentParser(prog="portrait-head")
        models.add_to(parser.add_subparsers(required=True))
        options = parser.parse_args(["models", *map(str, words)])
        status = options.command(options)
        return status, capsys.readouterr().out

    return command


@pytest.fixture
def lora(tmp_path):
    """A folder that will do as the pack few-step-lora."""
    folder = tmp_path / "lora"
    folder.mkdir()
    (folder / "pytorch_lora_weights.safetensors").write_bytes(safetensors_bytes())
    return folder


def test_the_list_names_size_use_and_state(run):
    status, said = run("list")

    line = next(line for line in said.splitlines() if line.startswith("buffalo_l"))
    assert status == 0 and "0.3 GB" in line and "research" in line and " - " in line
    assert "diffusion " in said and "models" in said.splitlines()[-1]


def test_show_tells_purpose_source_licence_and_the_command(run):
    _, said = run("show", "ip-adapter-faceid")

    for expected in (
        "whose face it is",
        "h94/IP-Adapter-FaceID",
        "43907e6f44d079bf1a9102d9a6e56aef7a219bae",
        "NOT for commercial use",
        "insightface-research",
        "portrait-head models download ip-adapter-faceid",
    ):
        assert expected in said
    assert "buffalo_l" in run("show", "diffusion")[1]


def test_a_pack_goes_in_from_a_folder_is_listed_checked_and_removed(run, lora):
    words = ("download", "few-step-lora", "--from", lora, "--accept-licence", "openrail-plus-plus")
    assert run(*words) == (0, f"few-step-lora: 481 kB in {PackStore().folder / 'few-step-lora'}\n")

    assert "here" in next(line for line in run("list")[1].splitlines() if line.startswith("few-step-lora"))
    assert str(lora) not in run("show", "few-step-lora")[1] and "accepted" in run("show", "few-step-lora")[1]
    assert run("verify") == (0, "ok    few-step-lora: 1 files\n")
    assert "kB freed" in run("remove", "few-step-lora")[1]
    assert PackStore().installed() == ()


def test_a_licence_is_never_taken_as_accepted(run, lora):
    with pytest.raises(PortraitHeadError, match="--accept-licence openrail-plus-plus") as failure:
        run("download", "few-step-lora", "--from", lora)

    assert failure.value.kind == "licence_not_accepted"
    with pytest.raises(PortraitHeadError, match=r"research.*--accept-licence openrail .*insightface-research"):
        run("download", "diffusion")  # all that is open at once, before anything is fetched
    with pytest.raises(PortraitHeadError, match="Known are"):
        run("download", "few-step-lora", "--from", lora, "--accept-licence", "everything")


class Keyboard(io.StringIO):
    """A person at a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("answer", ["yes\n", "no\n", "\n"])
def test_a_person_is_shown_the_licence_and_asked_once(run, lora, monkeypatch, answer):
    monkeypatch.setattr("sys.stdin", Keyboard(answer))

    if answer != "yes\n":
        with pytest.raises(PortraitHeadError):
            run("download", "few-step-lora", "--from", lora)
        return
    said = run("download", "few-step-lora", "--from", lora)[1]
    assert "LICENSE.md" in said and "Do you accept" in said
    monkeypatch.setattr("sys.stdin", Keyboard(""))
    run("remove", "few-step-lora")
    assert "Do you accept" not in run("download", "few-step-lora", "--from", lora)[1]


def test_verify_fails_for_a_damaged_pack_and_says_what_to_do(run, lora):
    run("download", "few-step-lora", "--from", lora, "--accept-licence", "openrail-plus-plus")
    path = PackStore().folder / "few-step-lora" / "pytorch_lora_weights.safetensors"
    contents = path.read_bytes()
    path.write_bytes(contents[:-1] + bytes([contents[-1] ^ 1]))

    status, said = run("verify", "few-step-lora")

    assert status == 1 and "FAIL" in said and "portrait-head models download few-step-lora" in said


def test_verify_says_so_where_there_is_nothing_to_check(run):
    status, said = run("verify")

    assert status == 0 and "no model packs" in said


@pytest.mark.parametrize("words", [("show", "sd"), ("download", "sd"), ("remove", "sd")])
def test_an_unknown_name_is_refused_by_every_action(run, words):
    with pytest.raises(PortraitHeadError, match="no model pack 'sd'"):
        run(*words)


def test_one_folder_is_for_one_pack(run, lora):
    with pytest.raises(PortraitHeadError, match="Name one pack"):
        run("download", "sd15", "few-step-lora", "--from", lora)
