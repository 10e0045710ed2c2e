import numpy as np
from portrait_head.rendering.preview import Surface, orbit_camera, render


def plane(depth: float, colour: tuple[int, ...]) -> Surface:
    """A square of 20 cm across the line of sight, `depth` metres towards the viewer, in one colour."""
    corners = np.array([[-0.1, -0.1, depth], [0.1, -0.1, depth], [0.1, 0.1, depth], [-0.1, 0.1, depth]])
    triangles = np.array([[0, 1, 2], [0, 2, 3]])
    return Surface(corners, triangles, np.zeros((2, 3, 2), np.float32), np.full((2, 2, len(colour)), colour, np.uint8))


def test_what_lies_close_behind_a_transparent_surface_is_seen() -> None:
    camera = orbit_camera(0, 0, 16, np.zeros(3), 0.05)
    # Hair ends a twentieth of a millimetre over skin; far behind is the inside of the hair at the nape.
    layers = plane(0.00005, (10, 10, 10, 0)), plane(0.0, (200, 150, 120)), plane(-0.2, (10, 10, 10, 255))
    np.testing.assert_allclose(render(layers, camera, lit=False), np.broadcast_to((200, 150, 120), (16, 16, 3)), atol=1)
