import io
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from portrait_head.models.catalogue import Licence, Pack
from portrait_head.models.store import PackStore
from safetensors.torch import save

from tests.backend.models.hub import COMMIT, Hub, serve

UNET = json.dumps({"_class_name": "UNet2DConditionModel", "sample_size": 8}).encode()
FREE = Licence("mit", "MIT License", "https://example.org/mit", True, False, "Keep the notice.")
STRICT = Licence("strict", "Strict Licence", "https://example.org/strict", False, True, "Research only.")


def tensors() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(4)
    return {"layer.weight": torch.randn(300, 400, generator=generator), "layer.bias": torch.zeros(300)}


def safetensors_bytes() -> bytes:
    return save(tensors(), metadata={"format": "pt"})


def pickle_bytes() -> bytes:
    packed = io.BytesIO()
    torch.save(tensors(), packed)
    return packed.getvalue()


def toy_pack(name: str = "toy", **changes) -> Pack:
    """A pack like those for real UNets, of half a megabyte."""
    values = {
        "title": "Toy",
        "purpose": "Shows that packs work.",
        "host": "huggingface",
        "source": "somebody/toy",
        "revision": COMMIT,
        "pinned": True,
        "licence": "mit",
        "commercial_use": True,
        "size_mb": 1,
        "files": ("config.json",),
        "weights": ("diffusion_pytorch_model",),
        "classes": {"config.json": "UNet2DConditionModel"},
    }
    return Pack(name=name, **(values | changes))


@pytest.fixture
def hub(monkeypatch) -> Iterator[Hub]:
    """A server that has the repository somebody/toy."""
    hub = Hub()
    hub.repositories["somebody/toy"] = {
        COMMIT: {"config.json": UNET, "diffusion_pytorch_model.safetensors": safetensors_bytes(), "README.md": b"#"}
    }
    hub.branches["main"] = COMMIT
    server = serve(hub)
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    yield hub
    server.shutdown()
    server.server_close()


@pytest.fixture
def store(tmp_path: Path) -> PackStore:
    return PackStore(tmp_path / "models")
