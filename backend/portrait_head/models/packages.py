"""The packages of the diffusion tier, which not everybody has."""

from __future__ import annotations

import importlib.util

from portrait_head import system_libraries
from portrait_head.errors import PortraitHeadError

# What runs the tier; those that only download packs say so themselves.
NEEDED = ("diffusers", "transformers", "accelerate", "peft", "insightface", "onnxruntime", "safetensors")
INSTALL = 'Install what the diffusion tier needs, in the folder of Portrait Head: pip install ".[cuda]"'


def lacking() -> tuple[str, ...]:
    """Which of the needed packages are not installed; none is imported to find out."""
    return tuple(name for name in NEEDED if importlib.util.find_spec(name) is None)


def missing(package: str, error: ImportError) -> PortraitHeadError:
    """What the failed import of a package means: it is not installed, or something that it needs is not."""
    if explained := system_libraries.explain(error):
        return explained
    if not isinstance(error, ModuleNotFoundError):
        return PortraitHeadError("missing_package", f"The package {package} cannot be loaded: {error}.", INSTALL)
    return PortraitHeadError("missing_package", f"The package {package} is not installed.", INSTALL)
