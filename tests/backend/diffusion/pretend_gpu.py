"""A GPU that is pretended on the processor: tensors there answer as on one, and do not mix with those of main memory.

What CUDA would refuse is refused in its words: an operation over both memories, a generator of the other one, numpy's
view of a tensor that is not in main memory. So code that was written without a GPU can be held to its rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_leaves, tree_map_only

GPU = torch.device("meta")
_MOVES = {torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default}
_INDEXED = {torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default}  # CUDA takes indices from either memory


class GpuTensor(torch.Tensor):
    """A tensor in the pretended GPU's memory; `held` has its numbers."""

    held: torch.Tensor

    @staticmethod
    def __new__(cls, held: torch.Tensor) -> GpuTensor:
        made = torch.Tensor._make_wrapper_subclass(  # pyright: ignore[reportAttributeAccessIssue]
            cls, held.size(), held.stride(), held.storage_offset(), dtype=held.dtype, device=GPU
        )
        made.held = held
        return made

    def __tensor_flatten__(self) -> tuple[list[str], None]:
        return ["held"], None

    @staticmethod
    def __tensor_unflatten__(inner: dict[str, torch.Tensor], context: None, size: Any, stride: Any) -> GpuTensor:
        return GpuTensor(inner["held"])

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        return _compute(func, args, kwargs or {})


class _Factories(TorchDispatchMode):
    """Makes what is asked for on the GPU, and what is moved there."""

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        return _compute(func, args, kwargs or {})


class _Numbers(TorchFunctionMode):
    """Tensors of given numbers, which PyTorch makes without asking the device."""

    def __torch_function__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        kwargs = dict(kwargs or {})
        if func in (torch.tensor, torch.as_tensor) and kwargs.get("device") == GPU:
            del kwargs["device"]
            return func(*args, **kwargs).to(GPU)
        if func is torch.Tensor.new_tensor and isinstance(args[0], GpuTensor):
            return torch.tensor(*args[1:], dtype=args[0].dtype).to(GPU)
        return func(*args, **kwargs)


def _attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *unused: Any, **unheeded: Any
) -> torch.Tensor:
    """Scaled dot product attention as it is defined; PyTorch's own asks which kernel the device has."""
    scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
    return torch.softmax(scores, dim=-1) @ value


@contextmanager
def pretended_gpu() -> Iterator[torch.device]:
    """A GPU inside this block."""
    functional: Any = torch.nn.functional
    future = torch.__future__
    own, before = functional.scaled_dot_product_attention, future.get_swap_module_params_on_conversion()
    functional.scaled_dot_product_attention = _attention
    future.set_swap_module_params_on_conversion(True)  # a moved weight stays the same object, as on a GPU
    try:
        with _Factories(), _Numbers():
            yield GPU
    finally:
        functional.scaled_dot_product_attention = own
        future.set_swap_module_params_on_conversion(before)


def _compute(func: Any, args: tuple, kwargs: dict[str, Any]) -> Any:
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
    there = [tensor for tensor in tensors if isinstance(tensor, GpuTensor)]
    asked = kwargs.get("device")
    on_gpu = torch.device(asked).type == "meta" if asked is not None else bool(there)
    if there and func not in _MOVES | _INDEXED:
        for tensor in tensors:
            if not isinstance(tensor, GpuTensor) and tensor.dim():
                raise RuntimeError(f"Expected all tensors to be on the same device, but {func} found two")
    generator = kwargs.get("generator")
    if on_gpu and generator is not None and generator.device.type != "meta":
        raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
    if asked is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    plain_args, plain_kwargs = tree_map_only(GpuTensor, lambda tensor: tensor.held, (args, kwargs))
    found = func(*plain_args, **plain_kwargs)
    if func is torch.ops.aten.copy_.default:
        return args[0]
    if not on_gpu:
        return found
    wrapped = tree_map_only(torch.Tensor, GpuTensor, found)
    return return_and_correct_aliasing(func, args, kwargs, wrapped)
