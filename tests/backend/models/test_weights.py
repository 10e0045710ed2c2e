"""Files of weights are data: nothing in them is ever run."""

import io
import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch
from portrait_head.errors import PortraitHeadError
from portrait_head.models.weights import convert_to_safetensors, load_strictly, load_weights

from tests.backend.models.conftest import pickle_bytes, safetensors_bytes, tensors


class Malicious:
    """Unpickled without care, it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("modern", [True, False])
def test_a_pickle_that_carries_code_is_refused_and_not_run(tmp_path, modern):
    trap = tmp_path / "trap"
    path = tmp_path / "unet.bin"
    if modern:
        torch.save({"weight": torch.zeros(2), "extra": Malicious(trap)}, path)
    else:
        path.write_bytes(pickle.dumps({"weight": Malicious(trap)}, protocol=2))

    with pytest.raises(PortraitHeadError, match="would run code") as failure:
        load_weights(path)

    assert failure.value.kind == "unsafe_weights"
    assert not trap.exists()
    torch.load(path, weights_only=False) if modern else pickle.loads(path.read_bytes())
    assert trap.exists()  # it was armed


def test_a_pickle_and_its_conversion_hold_the_same_tensors(tmp_path):
    (tmp_path / "a.bin").write_bytes(pickle_bytes())

    convert_to_safetensors(tmp_path / "a.bin", tmp_path / "a.safetensors")

    converted = load_weights(tmp_path / "a.safetensors")
    assert converted.keys() == tensors().keys()
    assert all(torch.equal(converted[name], tensor) for name, tensor in tensors().items())


def test_nested_names_are_joined_as_diffusers_reads_ip_adapters(tmp_path):
    shared = torch.ones(3)
    torch.save(
        {"image_proj": {"proj.0.weight": shared}, "ip_adapter": {"1.to_k_ip.weight": shared}}, tmp_path / "i.bin"
    )

    convert_to_safetensors(tmp_path / "i.bin", tmp_path / "i.safetensors")

    assert load_weights(tmp_path / "i.safetensors").keys() == {
        "image_proj.proj.0.weight",
        "ip_adapter.1.to_k_ip.weight",
    }


@pytest.mark.parametrize("ending", ["safetensors", "bin"])
@pytest.mark.parametrize("kept", [0, 10, 5000])
def test_half_a_file_is_said_to_be_one(tmp_path, ending, kept):
    whole = safetensors_bytes() if ending == "safetensors" else pickle_bytes()
    path = tmp_path / f"a.{ending}"
    path.write_bytes(whole[:kept])

    with pytest.raises(PortraitHeadError) as failure:
        load_weights(path)

    assert failure.value.kind in ("weights_broken", "unsafe_weights")


def test_what_is_no_weights_at_all_is_named(tmp_path):
    torch.save({"weight": torch.zeros(2), "epoch": 3}, tmp_path / "a.bin")
    (tmp_path / "a.onnx").write_bytes(b"onnx")

    with pytest.raises(PortraitHeadError, match="holds int under 'epoch'"):
        load_weights(tmp_path / "a.bin")
    with pytest.raises(PortraitHeadError, match=r"a\.onnx is not a file of weights"):
        load_weights(tmp_path / "a.onnx")


def test_weights_of_another_architecture_are_named_tensor_by_tensor():
    model = torch.nn.Linear(4, 2)
    good = {"weight": torch.ones(2, 4), "bias": torch.zeros(2)}

    load_strictly(model, good, "toy")
    assert torch.equal(model.weight, good["weight"])
    for bad, said in (
        (good | {"weight": torch.ones(3, 4)}, r"weight is \[3, 4\], not \[2, 4\]"),
        ({"weight": good["weight"]}, "bias and 0 more tensors are missing"),
        (good | {"lora.down": torch.ones(1)}, r"lora\.down and 0 more tensors belong"),
    ):
        with pytest.raises(PortraitHeadError, match=said) as failure:
            load_strictly(model, bad, "toy")
        assert failure.value.kind == "wrong_architecture"


def test_a_zip_that_is_no_torch_file_is_refused(tmp_path):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        zipped.writestr("readme.txt", "hello")
    (tmp_path / "a.bin").write_bytes(packed.getvalue())

    with pytest.raises(PortraitHeadError) as failure:
        load_weights(tmp_path / "a.bin")

    assert failure.value.kind == "weights_broken"
