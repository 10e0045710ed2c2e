"""What ONNX Runtime runs on, and what it throws."""

from __future__ import annotations

from portrait_head.models.packages import missing

CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


def providers_for(device: str) -> list[str]:
    """Execution providers for `cpu` or `cuda`; without a CUDA build of ONNX Runtime the processor does the work.

    Raises:
        PortraitHeadError: `missing_package` without ONNX Runtime.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise missing("onnxruntime", error) from error
    wanted = [CUDA, CPU] if device.startswith("cuda") else [CPU]
    return [name for name in wanted if name in onnxruntime.get_available_providers()]


def session_errors() -> tuple[type[Exception], ...]:
    """What a file that is no model, or not a whole one, makes ONNX and its runtime throw."""
    from google.protobuf.message import DecodeError
    from onnxruntime.capi import onnxruntime_pybind11_state as state  # pyright: ignore[reportAttributeAccessIssue]

    names = ("Fail", "InvalidArgument", "InvalidGraph", "InvalidProtobuf", "NoSuchFile", "NotImplemented")
    return (DecodeError, *(getattr(state, name) for name in names), state.RuntimeException)
