"""What this computer can do: what it computes on, which model packs it has, which tiers it can run.

PyTorch is not imported to find out: the worker, which tells Blender, starts at once and stays small. What else may be
in the way of the diffusion tier, `models.readiness` finds out before a job.
"""

from __future__ import annotations

import ctypes
import importlib.util
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from portrait_head.models.catalogue import Catalogue, load_catalogue
from portrait_head.models.readiness import NAMED_AT_MOST, SETS
from portrait_head.models.store import PackStore

LONGEST_NAME = 100  # bytes of a card's name; NVIDIA's have 20 to 40
MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Device:
    """What computes: `kind` is "cpu" or "cuda", `memory_mb` a graphics card's own memory in MiB, 0 for a processor."""

    kind: str
    name: str
    memory_mb: int = 0


@dataclass(frozen=True)
class Refusal:
    """Why something cannot be had here, and what to do about it."""

    reason: str
    hint: str


@dataclass(frozen=True)
class Machine:
    """What Blender is told of this computer.

    Attributes:
        device: what the backend computes on.
        packs: names of the model packs that are here.
        diffusion: why the diffusion tier cannot run; None where it can.
    """

    device: Device
    packs: tuple[str, ...]
    diffusion: Refusal | None

    def to_result(self) -> dict[str, Any]:
        """The same as fields of `hello`, ready for JSON; a tier that can run has an empty reason."""
        refusal = self.diffusion or Refusal("", "")
        return {
            "device": self.device.kind,
            "device_name": self.device.name,
            "vram_mb": self.device.memory_mb,
            "packs": list(self.packs),
            "tiers": {
                "embedded": {"reason": "", "hint": ""},
                "diffusion": {"reason": refusal.reason, "hint": refusal.hint},
            },
        }


def examine_machine(store: PackStore | None = None, catalogue: Catalogue | None = None) -> Machine:
    """Look at this computer; `store` and `catalogue` default to the user's and to this package's."""
    packs = (store or PackStore()).installed()
    card = cuda_card()
    usable = card is not None and torch_cuda() != ""
    device = card if card is not None and usable else Device("cpu", processor_name())
    return Machine(device, packs, _diffusion_refusal(card, usable, packs, catalogue or load_catalogue()))


def cuda_card() -> Device | None:
    """The first NVIDIA card that the driver lets this process use (it heeds CUDA_VISIBLE_DEVICES); None without one."""
    if sys.platform == "darwin":
        return None
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return None
    count, card, size = ctypes.c_int(), ctypes.c_int(), ctypes.c_size_t()
    name = ctypes.create_string_buffer(LONGEST_NAME)
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(count)) or not count.value:
        return None
    failed = (
        driver.cuDeviceGet(ctypes.byref(card), 0)
        or driver.cuDeviceGetName(name, LONGEST_NAME, card)
        or driver.cuDeviceTotalMem_v2(ctypes.byref(size), card)
    )
    return None if failed else Device("cuda", name.value.decode(errors="replace"), size.value // MEBIBYTE)


def torch_cuda() -> str:
    """The CUDA version that the installed PyTorch was built for; empty for a build without CUDA, or for no PyTorch."""
    package = importlib.util.find_spec("torch")
    if package is None or package.origin is None:
        return ""
    told = Path(package.origin).with_name("version.py").read_text(encoding="utf-8")
    found = re.search(r"^cuda\b[^=]*=\s*['\"]([\d.]+)['\"]", told, re.MULTILINE)
    return found.group(1) if found else ""


def processor_name() -> str:
    """The processor as its maker calls it, or at least its architecture."""
    if sys.platform == "linux":
        found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(errors="replace"), re.MULTILINE)
        name = found.group(1) if found else ""
    elif sys.platform == "darwin":
        asked = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False
        )
        name = asked.stdout
    else:
        name = platform.processor()
    return " ".join(name.split()) or platform.machine()


def missing_packs(installed: tuple[str, ...], catalogue: Catalogue) -> tuple[str, tuple[str, ...]]:
    """Of the sets that the tier works with the one that lacks least: its name, and the packs that are missing of it."""
    lacking = {name: tuple(pack for pack in catalogue.sets[name].packs if pack not in installed) for name in SETS}
    nearest = min(lacking, key=lambda name: len(lacking[name]))
    return nearest, lacking[nearest]


def _diffusion_refusal(
    card: Device | None, usable: bool, packs: tuple[str, ...], catalogue: Catalogue
) -> Refusal | None:
    if card is None:
        return Refusal(
            "Diffusion models need an NVIDIA graphics card, and none was found.",
            "Update its driver if there is one, or name a backend on another computer.",
        )
    if not usable:
        return Refusal(
            f"The installed PyTorch cannot use the {card.name}: it is the one for processors.",
            "Repair the backend with Compute On set to NVIDIA Card.",
        )
    nearest, missing = missing_packs(packs, catalogue)
    if not missing:
        return None
    gigabytes = sum(catalogue.packs[name].size_mb for name in missing) / 1000
    what = ", ".join(missing) if len(missing) <= NAMED_AT_MOST else f"{len(missing)} of them"
    return Refusal(
        f"Model packs are missing ({what}, {gigabytes:.0f} GB).",
        f"Get them in a terminal, where their licences are shown: portrait-head models download {nearest}",
    )
