from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from addon.client import backend
from addon.client.backend import find_backend
from addon.client.errors import ClientError


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A computer without any backend; returns the user's data folder."""
    home = tmp_path / "home"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
    monkeypatch.setenv("LOCALAPPDATA", str(home / "data"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv(backend.VARIABLE, raising=False)
    monkeypatch.setattr(backend, "PACKAGE", "portrait_head_that_is_not_there")
    return backend.data_folder()


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


scripts = "Scripts" if sys.platform == "win32" else "bin"
name = "portrait-head.exe" if sys.platform == "win32" else "portrait-head"


def test_without_any_the_user_is_told_what_to_type(bare: Path):
    with pytest.raises(ClientError) as failure:
        find_backend()
    assert failure.value.kind == "backend_missing"
    script = backend.SOURCES / "backend" / "install.py"
    assert "Press Install" in failure.value.hint
    assert str(script) in failure.value.hint
    assert script.is_file()


def test_the_places_come_in_order(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    in_user_folder = program(bare / "venv" / scripts / name)
    assert find_backend().command == (str(in_user_folder), "worker")

    on_path = program(tmp_path / "bin" / name)
    assert find_backend().command == (str(on_path), "worker")

    in_variable = program(tmp_path / "other" / "start-it")
    monkeypatch.setenv(backend.VARIABLE, str(in_variable))
    assert find_backend().command == (str(in_variable),)

    package = "json"  # any package that this interpreter has
    monkeypatch.setattr(backend, "PACKAGE", package)
    assert find_backend().command == (sys.executable, "-m", package, "worker")

    named = program(tmp_path / "named" / name)
    assert find_backend(str(named)).command == (str(named), "worker")


def test_the_running_interpreter_is_taken_where_it_has_the_backend():
    if importlib.util.find_spec("portrait_head") is None:
        pytest.skip("the backend is not installed in this Python")
    assert find_backend().command == (sys.executable, "-m", "portrait_head", "worker")


def test_a_virtual_environment_can_be_named(bare: Path, tmp_path: Path):
    environment = tmp_path / "my env"
    installed = program(environment / scripts / name)
    assert find_backend(str(environment)).command == (str(installed), "worker")


def test_a_python_can_be_named(bare: Path):
    assert find_backend(sys.executable).command[0] == sys.executable
    assert find_backend(sys.executable).command[1:] == ("-m", backend.PACKAGE, "worker")


@pytest.mark.skipif(sys.platform == "win32", reason="quoting differs there")
def test_a_command_line_can_be_named(bare: Path, tmp_path: Path):
    program(tmp_path / "bin" / "ssh")
    assert find_backend("ssh 'gpu box' portrait-head worker").command == ("ssh", "gpu box", "portrait-head", "worker")


@pytest.mark.parametrize("named", ["no-such-program worker", "'half a quote", "/no/such/file"])
def test_what_cannot_be_started_is_named(bare: Path, named: str):
    with pytest.raises(ClientError) as failure:
        find_backend(named)
    assert failure.value.kind == "backend_missing"
    assert named.split()[0].strip("'") in failure.value.message
    assert failure.value.hint


def test_an_environment_without_the_backend_is_told_how_to_get_it(bare: Path, tmp_path: Path):
    with pytest.raises(ClientError, match="holds no Portrait Head backend") as failure:
        find_backend(str(tmp_path))
    assert "install.py" in failure.value.hint


def test_the_data_folder_does_not_depend_on_blender(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    monkeypatch.setenv("LOCALAPPDATA", "/data")
    assert backend.data_folder().name == "portrait-head"
    assert "blender" not in os.fspath(backend.data_folder()).lower()


@pytest.mark.parametrize("chosen", [False, True], ids=["usual folder", "chosen folder"])
def test_what_the_installer_made_is_found_once_it_is_whole(bare: Path, tmp_path: Path, chosen: bool):
    installation = tmp_path / "on another disk" if chosen else bare
    folder = str(installation) if chosen else ""
    made = program(installation / "venv" / scripts / name)
    for state in ('{"status": "installing"}', '{"status": "interrupted", "previous": {}}', '{"stat', "[]"):
        (installation / "state.json").write_text(state)
        with pytest.raises(ClientError, match="was interrupted") as failure:
            find_backend(folder=folder)
        assert failure.value.kind == "install_interrupted"
        assert "Press Install" in failure.value.hint
    (installation / "state.json").write_text('{"status": "installed", "version": "0.1.0"}')
    assert find_backend(folder=folder).command == (str(made), "worker")
    assert find_backend(str(installation)).command == (str(made), "worker")
