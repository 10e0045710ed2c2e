"""The rasteriser on NVIDIA Warp: CPU and CUDA, nothing to compile but Warp's own kernel cache."""

from __future__ import annotations

from typing import Any

import torch
import warp as wp

from portrait_head.rendering import silhouettes, warp_gradient_kernels, warp_kernels, warp_runtime
from portrait_head.rendering.rasteriser import Fragments
from portrait_head.rendering.tensor_camera import TensorCamera

_EMPTY = -1  # all bits set: the largest of Warp's unsigned keys


class WarpRasteriser:
    """`Rasteriser` by a z-buffer in Warp kernels: float32, on the device of the tensors that it is given.

    The same input gives the same bits, on CUDA too. A thread draws a triangle, which suits finely divided surfaces and
    makes a GPU wait for triangles that fill the image.
    """

    def __init__(self) -> None:
        warp_runtime.start()

    def rasterise(self, vertices: torch.Tensor, triangles: torch.Tensor, camera: TensorCamera) -> Fragments:
        """What the camera sees of a mesh: see `Rasteriser.rasterise`."""
        camera_vertices = camera.to_camera(vertices).float().contiguous()
        corners = _corners(triangles, vertices)
        ids = _visible(camera_vertices, corners, camera)
        barycentrics, depth = _Shade.apply(camera_vertices, corners, ids, _intrinsics(camera))
        return Fragments(ids, barycentrics, depth)

    def interpolate(self, attributes: torch.Tensor, triangles: torch.Tensor, fragments: Fragments) -> torch.Tensor:
        """Attributes at the seen points: see `Rasteriser.interpolate`."""
        corners = _corners(triangles, attributes)
        return _Interpolate.apply(
            attributes.float().contiguous(), fragments.barycentrics, corners, fragments.triangle_ids
        )

    def antialias(
        self,
        image: torch.Tensor,
        fragments: Fragments,
        vertices: torch.Tensor,
        triangles: torch.Tensor,
        camera: TensorCamera,
    ) -> torch.Tensor:
        """The image with blended silhouettes: see `Rasteriser.antialias`."""
        camera_vertices = camera.to_camera(vertices).float().contiguous()
        corners = _corners(triangles, vertices)
        crossings = _crossings(camera_vertices, corners, fragments, camera)
        return silhouettes.blend(image, crossings, camera_vertices, camera)


def _visible(camera_vertices: torch.Tensor, corners: torch.Tensor, camera: TensorCamera) -> torch.Tensor:
    """The nearest triangle of every pixel: [H, W] int32."""
    keys = torch.full((camera.height, camera.width), _EMPTY, dtype=torch.int64, device=corners.device)
    mesh = [_vec3(camera_vertices), _vec3i(corners), _intrinsics(camera)]
    _launch(warp_kernels.draw_triangles, corners[:, 0], mesh, [_array(keys, wp.uint64)])
    return keys.to(torch.int32)  # a key's lower half is the triangle, and -1 where nothing was drawn


def _crossings(
    camera_vertices: torch.Tensor, corners: torch.Tensor, fragments: Fragments, camera: TensorCamera
) -> silhouettes.Crossings:
    """Where silhouettes cross between pixels."""
    faces, every_triangle = _vec3i(corners), corners[:, 0]
    counts = corners.new_zeros(len(camera_vertices) + 1)
    _launch(warp_kernels.count_edges, every_triangle, [faces], [_array(counts[1:])])
    first_side = counts.cumsum(0, dtype=torch.int32)
    sides = corners.new_empty((3 * len(corners), 3))
    _launch(warp_kernels.bucket_edges, every_triangle, [faces], [_array(first_side.clone()), _vec3i(sides)])
    keys = torch.full((2, camera.height, camera.width), _EMPTY, dtype=torch.int64, device=corners.device)
    mesh = [_vec3(camera_vertices), _intrinsics(camera), _array(first_side), _vec3i(sides)]
    seen = [_array(fragments.triangle_ids), _array(fragments.depth)]
    _launch(warp_kernels.draw_silhouettes, camera_vertices[:, 0], mesh + seen, [_array(keys, wp.uint64)])
    axis, row, column = (keys != _EMPTY).nonzero(as_tuple=True)
    index = keys[axis, row, column] & 0xFFFFFFFF  # as `draw_silhouettes` packs it
    side, surface_second = index >> 1, (index & 1).bool()
    triangle, corner = side // 3, side % 3
    edge = torch.stack([corners[triangle, corner], corners[triangle, (corner + 1) % 3]], dim=1).long()
    return silhouettes.Crossings(axis, row, column, surface_second, edge)


class _Shade(torch.autograd.Function):
    """Camera-space vertices [V, 3] to barycentrics [H, W, 3] and depth [H, W] for given triangle ids."""

    @staticmethod
    def forward(
        ctx: Any, camera_vertices: torch.Tensor, corners: torch.Tensor, ids: torch.Tensor, intrinsics: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        barycentrics = camera_vertices.new_zeros((*ids.shape, 3))
        depth = camera_vertices.new_zeros(ids.shape)
        ctx.save_for_backward(camera_vertices, corners, ids, barycentrics, depth)
        ctx.intrinsics = intrinsics
        inputs = [_vec3(camera_vertices), _vec3i(corners), intrinsics, _array(ids)]
        _launch(warp_gradient_kernels.shade, ids, inputs, [_vec3(barycentrics), _array(depth)])
        return barycentrics, depth

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        camera_vertices, corners, ids, barycentrics, depth = ctx.saved_tensors
        gradient = torch.zeros_like(camera_vertices)
        _launch(
            warp_gradient_kernels.shade,
            ids,
            [_vec3(camera_vertices), _vec3i(corners), ctx.intrinsics, _array(ids)],
            [_vec3(barycentrics), _array(depth)],
            adj_inputs=[_vec3(gradient), None, warp_kernels.Intrinsics(), None],
            adj_outputs=[_vec3(_own(gradients[0])), _array(_own(gradients[1]))],
            adjoint=True,
        )
        return gradient, None, None, None


class _Interpolate(torch.autograd.Function):
    """Attributes [V, C] and barycentrics [H, W, 3] to values [H, W, C]."""

    @staticmethod
    def forward(
        ctx: Any, attributes: torch.Tensor, barycentrics: torch.Tensor, corners: torch.Tensor, ids: torch.Tensor
    ) -> torch.Tensor:
        values = attributes.new_zeros((*ids.shape, attributes.shape[1]))
        ctx.save_for_backward(attributes, barycentrics, corners, ids, values)
        inputs = [_array(attributes), _vec3i(corners), _array(ids), _vec3(barycentrics)]
        _launch(warp_gradient_kernels.interpolate, ids, inputs, [_array(values)])
        return values

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        attributes, barycentrics, corners, ids, values = ctx.saved_tensors
        of_attributes = torch.zeros_like(attributes)
        of_barycentrics = torch.zeros_like(barycentrics)
        _launch(
            warp_gradient_kernels.interpolate,
            ids,
            [_array(attributes), _vec3i(corners), _array(ids), _vec3(barycentrics)],
            [_array(values)],
            adj_inputs=[_array(of_attributes), None, None, _vec3(of_barycentrics)],
            adj_outputs=[_array(_own(gradients[0]))],
            adjoint=True,
        )
        return of_attributes, of_barycentrics, None, None


def _launch(kernel: Any, over: torch.Tensor, inputs: list[Any], outputs: list[Any], **adjoint: Any) -> None:
    """Run a kernel for every element of `over`, on its device and in torch's order of work there."""
    device = wp.device_from_torch(over.device)
    stream = wp.stream_from_torch(over.device) if over.is_cuda else None
    wp.launch(kernel, tuple(over.shape), inputs, outputs, device=device, stream=stream, **adjoint)


def _corners(triangles: torch.Tensor, vertices: torch.Tensor) -> torch.Tensor:
    """The triangles as the kernels read them, which do not look where an index or an address points."""
    if triangles.device != vertices.device:
        raise ValueError(f"triangles are on {triangles.device}, vertices on {vertices.device}")
    corners = triangles.detach().to(torch.int32).reshape(-1, 3).contiguous()
    if len(corners) > 0:
        low, high = corners.aminmax()
        if int(low) < 0 or int(high) >= len(vertices):
            raise ValueError(f"triangles name vertices {int(low)} to {int(high)} of {len(vertices)}")
    return corners


def _own(gradient: torch.Tensor) -> torch.Tensor:
    """A gradient that Warp may write into, as it does, while torch may still need the one that it gave."""
    return gradient.clone(memory_format=torch.contiguous_format)


def _array(tensor: torch.Tensor, dtype: Any = None) -> Any:
    return wp.from_torch(tensor.detach(), dtype=dtype)


def _vec3(tensor: torch.Tensor) -> Any:
    return _array(tensor, dtype=wp.vec3)


def _vec3i(tensor: torch.Tensor) -> Any:
    return _array(tensor, dtype=wp.vec3i)


def _intrinsics(camera: TensorCamera) -> Any:
    intrinsics = warp_kernels.Intrinsics()
    intrinsics.focal = camera.focal
    intrinsics.centre = wp.vec2(*camera.centre)
    intrinsics.width = camera.width
    intrinsics.height = camera.height
    return intrinsics
