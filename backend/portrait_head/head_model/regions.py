"""Named parts of the default head's surface, found once on its template.

Eyes and mouth of the MakeHuman topology sit in concentric rings of edges, so lids, sockets and lips are counted in
rings from the closed line where the face's UV island meets the one inside. What has no such line is bounded by curves
over the template, in metres from the head joint; they hold for every head, because a region is a set of vertices.
"""

from __future__ import annotations

import numpy as np

from portrait_head.head_model.model import Part
from portrait_head.head_model.topology import QuadGraph, border_edges, shared_edges, spokes

# Rings outward from the inner line of lids and lips: the margin of the lids (where lashes grow), the fold of the upper
# lid, the end of the lower lid and the border of the red of the lips.
LID_MARGIN_RING = 2
UPPER_LID_RINGS = 9
LOWER_LID_RINGS = 8
LIP_RINGS = 8

# Hairline seen from the side: height y over depth z. A scalp vertex lies above it. From the nape round the back of the
# ear, over it, down the sideburn and up over the temple to the middle of the forehead.
HAIRLINE_Z = (-0.095, -0.075, -0.050, -0.026, -0.017, 0.014, 0.016, 0.026, 0.029, 0.046, 0.056, 0.066, 0.078, 0.092)
HAIRLINE_Y = (-0.042, -0.040, -0.030, -0.006, 0.032, 0.038, 0.012, 0.010, 0.040, 0.058, 0.078, 0.092, 0.102, 0.106)

# The visible face from the side: before the ear, above the jaw's edge and below the hairline.
FACE_BACK_Z = 0.022
JAW_EDGE_Z = (0.000, 0.030, 0.060, 0.085, 0.110)
JAW_EDGE_Y = (-0.020, -0.046, -0.064, -0.071, -0.074)

# The outer ear: a box of depth and height in which the mesh is finer than that of the head around it.
EAR_Z = (-0.024, 0.0195)
EAR_Y = (-0.022, 0.049)
EAR_EDGE = 0.0052

BROW_X = (0.010, 0.052)
BROW_Y_ABOVE_MIDDLE = 0.0065  # half the height of the strip of brow hair
FOREHEAD_FROM_BROW = 0.010
NOSE_MOVED = 0.0045  # metres by which some nose target moves a vertex of the nose
NOSE_LOW = -0.0165
NOSTRIL_X, NOSTRIL_Y, NOSTRIL_Z = (0.0064, 0.0121), (-0.0040, 0.0), (0.1008, 0.1078)


def find_regions(
    vertices: np.ndarray,
    quads: np.ndarray,
    parts: tuple[Part, ...],
    socket: np.ndarray,
    nose_targets: np.ndarray,
    mirror: np.ndarray,
) -> dict[str, np.ndarray]:
    """Vertex indices by name, int32: sorted, but for the loops.

    face, forehead, nose, nostrils, brow_left/right, ear_left/right, scalp (where hair can grow), neck, rim (the open
    border), lips_upper, lips_lower, lips, lid_upper_left/right, lid_lower_left/right, eye_socket_left/right (hidden
    skin round the eyeball); and, in order round the opening, eye_loop_left/right and mouth_loop, the innermost lines
    of lids and lips.

    Args:
        vertices: [V, 3] template, metres.
        quads: [F, 4].
        parts: of the head.
        socket: [F] bool, faces of the eye sockets.
        nose_targets: [N, V, 3] displacements that shape the nose.
        mirror: [V] the vertex on the other side.
    """
    graph = QuadGraph(quads)
    skin_part = next(part for part in parts if part.name == "skin")
    skin = np.zeros(len(vertices), dtype=bool)
    skin[slice(*skin_part.vertices)] = True
    regions = _eyes(vertices, quads, graph, socket, skin_part, mirror)
    regions |= _mouth(vertices, quads, graph, parts)
    inside = np.isin(np.arange(len(vertices)), np.concatenate([regions[f"eye_socket_{s}"] for s in ("left", "right")]))
    outer = skin & ~inside
    regions |= _surface(vertices, _mean_edge(vertices, quads), outer, nose_targets)
    regions["rim"] = np.unique(np.array(border_edges(quads[slice(*skin_part.faces)])))
    regions["rim"] = regions["rim"][vertices[regions["rim"], 1] < JAW_EDGE_Y[-1]]
    return {name: found.astype(np.int32) for name, found in regions.items()}


def _eyes(
    vertices: np.ndarray,
    quads: np.ndarray,
    graph: QuadGraph,
    socket: np.ndarray,
    skin: Part,
    mirror: np.ndarray,
) -> dict[str, np.ndarray]:
    skin_faces = np.zeros(len(quads), dtype=bool)
    skin_faces[slice(*skin.faces)] = True
    left = socket & (vertices[quads].mean(axis=1)[:, 0] > 0)
    loop = np.array(graph.closed_path(shared_edges(quads[left], quads[skin_faces & ~socket])))
    behind = np.setdiff1d(np.unique(quads[left]), loop)
    rays = spokes(graph, loop, behind.tolist(), UPPER_LID_RINGS)
    upper = _is_upper(vertices[loop])
    found = {
        "eye_loop_left": loop,
        "eye_socket_left": behind,
        "lid_upper_left": np.unique(rays[upper]),
        "lid_lower_left": np.unique(rays[~upper, :LOWER_LID_RINGS]),
    }
    for name in list(found):
        opposite = mirror[found[name]]
        found[name.replace("left", "right")] = opposite if "loop" in name else np.sort(opposite)
    return found


def _mouth(vertices: np.ndarray, quads: np.ndarray, graph: QuadGraph, parts: tuple[Part, ...]) -> dict[str, np.ndarray]:
    skin = next(part for part in parts if part.name == "skin")
    cavity = next(part for part in parts if part.name == "mouth")
    loop = np.array(graph.closed_path(shared_edges(quads[slice(*cavity.faces)], quads[slice(*skin.faces)])))
    rays = spokes(graph, loop, range(*cavity.vertices), LIP_RINGS)
    upper = _is_upper(vertices[loop])
    # The rings run round the corners of the mouth; the red does not.
    within = np.abs(vertices[rays, 0]) <= np.abs(vertices[rays[:, :4], 0]).max()
    found = {
        "mouth_loop": loop,
        "lips_upper": np.unique(rays[upper][within[upper]]),
        "lips_lower": np.unique(rays[~upper][within[~upper]]),
    }
    return found | {"lips": np.union1d(found["lips_upper"], found["lips_lower"])}


def _is_upper(loop: np.ndarray) -> np.ndarray:
    """Mask [N] of the upper half of a closed line [N, 3] between its two corners, corners included."""
    count = len(loop)
    first, last = sorted((int(np.argmin(loop[:, 0])), int(np.argmax(loop[:, 0]))))
    between = np.zeros(count, dtype=bool)
    between[first : last + 1] = True
    if loop[between, 1].mean() > loop[~between, 1].mean():
        return between
    between[[first, last]] = False
    return ~between


def _within(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    return (values > limits[0]) & (values < limits[1])


def _mean_edge(vertices: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """[V] mean length of the edges of the faces at each vertex."""
    length = np.linalg.norm(vertices[quads] - vertices[np.roll(quads, -1, axis=1)], axis=2).mean(axis=1)
    total = np.bincount(quads.ravel(), np.repeat(length, 4), len(vertices))
    return total / np.maximum(np.bincount(quads.ravel(), minlength=len(vertices)), 1)


def _surface(
    vertices: np.ndarray, edge_length: np.ndarray, outer: np.ndarray, nose_targets: np.ndarray
) -> dict[str, np.ndarray]:
    x, y, z = vertices.T
    side = np.abs(x)
    ear = outer & _within(z, EAR_Z) & _within(y, EAR_Y)
    ear &= (edge_length < EAR_EDGE) & (side > 0.05)
    hairline = np.interp(z, HAIRLINE_Z, HAIRLINE_Y)
    scalp = outer & ~ear & (y > hairline)
    jaw_edge = np.interp(z, JAW_EDGE_Z, JAW_EDGE_Y)
    face = outer & ~ear & ~scalp & (z > FACE_BACK_Z) & (y > jaw_edge)
    neck = outer & ~ear & ~scalp & ~face
    nose = face & (np.linalg.norm(nose_targets, axis=2).max(axis=0) > NOSE_MOVED) & (y > NOSE_LOW)
    brow_middle = np.interp(side, (0.008, 0.020, 0.036, 0.050, 0.056), (0.052, 0.0545, 0.0580, 0.0555, 0.0520))
    brow = face & (np.abs(y - brow_middle) < BROW_Y_ABOVE_MIDDLE) & _within(side, BROW_X)
    forehead = face & (y > brow_middle + FOREHEAD_FROM_BROW)
    found = {
        "face": face,
        "forehead": forehead,
        "nose": nose,
        "nostrils": face & _within(side, NOSTRIL_X) & _within(y, NOSTRIL_Y) & _within(z, NOSTRIL_Z),
        "scalp": scalp,
        "neck": neck,
    }
    for name, mask in (("brow", brow), ("ear", ear)):
        found |= {f"{name}_left": mask & (x > 0), f"{name}_right": mask & (x < 0)}
    return {name: np.flatnonzero(mask) for name, mask in found.items()}
