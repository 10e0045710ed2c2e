"""What the worker tells Blender of this computer."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from portrait_head.machine import Device, examine_machine, missing_packs, processor_name
from portrait_head.models.catalogue import load_catalogue
from portrait_head.models.store import PackStore

DRIVER = """
    #include <string.h>
    int cuInit(unsigned flags) { return 0; }
    int cuDeviceGetCount(int *count) { *count = 1; return 0; }
    int cuDeviceGet(int *card, int number) { *card = number; return 0; }
    int cuDeviceGetName(char *name, int length, int card) { strncpy(name, "NVIDIA Test 9", length); return 0; }
    int cuDeviceTotalMem_v2(size_t *bytes, int card) { *bytes = 24ul << 30; return 0; }
"""
ASK = "from portrait_head.machine import examine_machine; import sys; print(examine_machine().to_result()); "


def examined_with_a_card(folder: Path, cuda: str) -> str:
    """What is told with a driver that knows one card, and a PyTorch built for `cuda`, a line of its version.py."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs a C compiler on Linux to make a driver")
    (folder / "cuda.c").write_text(DRIVER)
    subprocess.run([compiler, "-w", "-shared", "-o", folder / "libcuda.so.1", folder / "cuda.c"], check=True)
    (folder / "torch").mkdir()
    (folder / "torch" / "__init__.py").write_text("raise ImportError('it is not to be imported')")
    (folder / "torch" / "version.py").write_text(f"__version__ = '2.0'\n{cuda}\n")
    told = {"LD_LIBRARY_PATH": str(folder), "PYTHONPATH": str(folder), "PORTRAIT_HEAD_MODELS": str(folder / "models")}
    asked = subprocess.run(
        [sys.executable, "-c", ASK], capture_output=True, text=True, env={**os.environ, **told}, check=False
    )
    assert asked.returncode == 0, asked.stderr
    return asked.stdout


def test_a_card_is_named_with_its_memory_and_packs_that_lack_are_told(tmp_path: Path):
    told = examined_with_a_card(tmp_path, "cuda: Optional[str] = '12.6'")
    assert "'device': 'cuda', 'device_name': 'NVIDIA Test 9', 'vram_mb': 24576" in told
    assert "Model packs are missing" in told
    assert "portrait-head models download" in told


def test_a_card_that_the_installed_pytorch_cannot_use_is_told(tmp_path: Path):
    told = examined_with_a_card(tmp_path, "cuda: Optional[str] = None")
    assert "'device': 'cpu'" in told
    assert "cannot use the NVIDIA Test 9" in told


def test_the_set_that_lacks_least_is_proposed(tmp_path: Path):
    catalogue = load_catalogue()
    commercial = catalogue.sets["commercial"].packs
    assert missing_packs(commercial[1:], catalogue) == ("commercial", commercial[:1])
    assert missing_packs(catalogue.sets["diffusion"].packs, catalogue)[1] == ()


def test_a_computer_without_a_card_computes_on_its_processor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("portrait_head.machine.cuda_card", lambda: None)
    machine = examine_machine(PackStore(tmp_path))
    assert machine.device == Device("cpu", processor_name())
    assert processor_name().strip()
    assert machine.packs == ()
    assert machine.diffusion is not None
    assert "NVIDIA" in machine.diffusion.reason
