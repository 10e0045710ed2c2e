"""A mesh of fixed topology laid onto a surface that was found without it.

Non-rigid closest points: every round pairs the template's vertices with the nearest points of the target that face the
same way and solves for the displacement that follows them as smoothly as its stiffness demands, from stiff to supple
(Amberg, Romdhani and Vetter, "Optimal Step Nonrigid ICP Algorithms for Surface Registration", 2007). Smooth means a
small Laplacian of the displacement (Sorkine et al., "Laplacian Surface Editing", 2004), so that the template's own
shape is kept where the target says nothing; local rigidity instead (Sorkine and Alexa, 2007) came out as near, within
0.01 mm, for three times the time. Where the target cannot be trusted (lids, lips, nostrils, what lies inside) the
template's surface is stiff and goes along with what is around it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.sparse import coo_matrix, csr_matrix, diags
from scipy.sparse.linalg import splu
from scipy.spatial import KDTree

from portrait_head.geometry.nearest import SurfaceIndex
from portrait_head.geometry.surface import vertex_normals


@dataclass(frozen=True)
class RegistrationConfig:
    """Tuned on displaced heads of which the truth is known; metres unless said otherwise.

    Attributes:
        stiffness: weight of the squared Laplacian of the displacement against a vertex's squared distance, one a
            round; the last is as supple as a sculpt of 2-3 mm cells can be trusted, the first holds bumps of 10 cm.
        sliding: share of a pair's distance along the surface that is followed, one a round. While the template is
            stiff it tells which way a nose has moved; later it only makes vertices slide with the target's triangles.
        reach: pairs further apart do not count, one a round.
        turn: degrees between the normals of a pair beyond which it does not count.
        margin: what is nearer than this to a border of the target does not count: a template that goes on beyond would
            crowd there, and skin cut from hair turns up at its edge.
        facing: the distance that a normal turned by 60 degrees counts for when the nearest point is looked for; more
            than the gap between the two sheets of an ear or a lip.
        outlier: pairs count half at this distance in the last round, and at as many times it as the reach is longer
            before.
        strain: weight of a squared difference of displacement along an edge where the target has no say: for want of
            trust, or because there is none (the scalp under hair). It keeps gaps, and what is bent round a hole.
        hold: weight of a vertex's squared displacement, so that what no pair holds stays.
        fold: degrees by which a face may turn against its rest; what turns further loses its pairs.
        fold_rounds: how often folds are looked for and their pairs let go.
        ironing: how often at most what is folded then is moved more like its surroundings.
    """

    stiffness: tuple[float, ...] = (1000.0, 200.0, 50.0, 20.0, 10.0, 5.0, 5.0, 5.0)
    sliding: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0, 0.5, 0.2, 0.0, 0.0)
    reach: tuple[float, ...] = (0.030, 0.025, 0.020, 0.016, 0.014, 0.012, 0.010, 0.010)
    turn: float = 60.0
    margin: float = 0.003
    facing: float = 0.010
    outlier: float = 0.006
    strain: float = 3.0
    hold: float = 1e-4
    fold: float = 75.0
    fold_rounds: int = 6
    ironing: int = 40


@dataclass(frozen=True)
class Registered:
    """A template on its target.

    Attributes:
        vertices: [V, 3] float64 metres.
        paired: [V] float64, 0 to 1, how much of a say the target had on each vertex in the end.
        gap: [V] float64 metres from each vertex to the nearest point of the target that faces its way.
    """

    vertices: np.ndarray
    paired: np.ndarray
    gap: np.ndarray


def register(
    vertices: np.ndarray,
    quads: np.ndarray,
    trust: np.ndarray,
    target: tuple[np.ndarray, np.ndarray],
    config: RegistrationConfig = RegistrationConfig(),
) -> Registered:
    """Lay a template onto a target that it already lies near.

    Args:
        vertices: [V, 3] metres; each belongs to a quad.
        quads: [F, 4].
        trust: [V], 0 to 1: how far the target is to be believed at each vertex. A vertex of 0 moves with those around.
        target: vertices [N, 3] and triangles [M, 3], with or without borders; nothing is drawn onto a border.
        config: see there.
    """
    rest = np.asarray(vertices, dtype=np.float64)
    index = SurfaceIndex(*target)
    target_normals = vertex_normals(*target)
    border = border_vertices(target[1])
    on_border = np.isin(np.arange(len(target[0])), border)
    rim = KDTree(np.asarray(target[0])[border]) if len(border) else None
    laplacian, edges = _laplacian(quads, len(rest))
    bending = (laplacian.T @ laplacian).tocsr()
    moved, weights = rest.copy(), np.zeros(len(rest))

    def solved(stiffness: float, feet: np.ndarray, weights: np.ndarray, said: np.ndarray) -> np.ndarray:
        rigid = config.strain * _strain(edges, 1 - said, len(rest))
        system = (rigid + stiffness * bending + diags(weights + config.hold)).tocsc()
        factor = splu(system, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
        return rest + factor.solve(weights[:, None] * (feet - rest))

    feet, met = rest, np.zeros(len(rest), bool)
    for stiffness, sliding, reach in zip(config.stiffness, config.sliding, config.reach, strict=True):
        normals = quad_vertex_normals(moved, quads)
        foot = index.nearest_facing(moved, normals, config.facing)
        # Smooth normals: at an edge it is chance which of two triangles a foot lies on.
        facing = foot.interpolate(target_normals, target[1])
        facing /= np.maximum(np.linalg.norm(facing, axis=1, keepdims=True), 1e-12)
        alike = np.einsum("vk,vk->v", facing, normals)
        outlier = config.outlier * reach / config.reach[-1]
        met = (foot.distance < reach) & (alike > np.cos(np.radians(config.turn)))
        if rim is not None:
            met &= rim.query(foot.points, distance_upper_bound=config.margin)[0] > config.margin
            met &= (foot.weights * on_border[target[1][foot.triangle]]).sum(axis=1) < 0.99
        weights = met * trust * np.clip(alike, 0.0, 1.0) / (1 + (foot.distance / outlier) ** 2)
        ahead = np.einsum("vk,vk->v", foot.points - moved, facing)[:, None] * facing
        feet = moved + ahead + sliding * (foot.points - moved - ahead)
        moved = solved(stiffness, feet, weights, met * trust)
    free = np.ones(len(rest))
    for round_number in range(config.fold_rounds):
        folded = folded_quads(rest, moved, quads, config.fold)
        if len(folded) == 0:
            break
        near = np.isin(np.arange(len(rest)), quads[folded]).astype(float)
        for _ in range(round_number + 1):
            near = np.minimum(near + abs(laplacian) @ near, 1.0)
        free *= 1 - 0.75 * near
        moved = solved(config.stiffness[-1], feet, free * weights, met * trust)
    moved = _ironed(rest, moved, quads, laplacian, config)
    foot = index.nearest_facing(moved, quad_vertex_normals(moved, quads), config.facing)
    return Registered(moved, free * weights, foot.distance)


def _ironed(
    rest: np.ndarray, moved: np.ndarray, quads: np.ndarray, laplacian: csr_matrix, config: RegistrationConfig
) -> np.ndarray:
    """The moved vertices with what is still folded moved more like its surroundings, wider and wider."""
    step = moved - rest
    for round_number in range(config.ironing):
        folded = folded_quads(rest, rest + step, quads, config.fold)
        if len(folded) == 0:
            break
        near = np.isin(np.arange(len(rest)), quads[folded])
        for _ in range(round_number // 6):
            near = abs(laplacian) @ near > 0
        step[near] -= 0.5 * (laplacian @ step)[near]
    return rest + step


def quad_vertex_normals(vertices: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """[V, 3] unit normals of a quad mesh, weighted by area; they mirror with it, however quads would be cut."""
    normals = np.zeros((len(vertices), 3))
    facing = quad_normals(vertices, quads)
    for corner in range(4):
        for axis in range(3):
            normals[:, axis] += np.bincount(quads[:, corner], facing[:, axis], len(vertices))
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-300)


def quad_normals(vertices: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """[F, 3] normals of quads, twice their area long."""
    corners = vertices[quads]
    return np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])


def folded_quads(rest: np.ndarray, moved: np.ndarray, quads: np.ndarray, turn: float) -> np.ndarray:
    """Indices of quads that were sound at rest and are not any more.

    A quad folds where one of its corners turns inside out, or where it has turned by more than `turn` degrees.
    """

    def corner_normals(vertices: np.ndarray) -> np.ndarray:
        corners = vertices[quads]
        return np.cross(np.roll(corners, -1, axis=1) - corners, np.roll(corners, 1, axis=1) - corners)

    before, after = quad_normals(rest, quads), quad_normals(moved, quads)
    sound = (np.einsum("fck,fk->fc", corner_normals(rest), before) > 0).all(axis=1)
    turned_out = (np.einsum("fck,fk->fc", corner_normals(moved), after) <= 0).any(axis=1)
    length = np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    turned = np.einsum("fk,fk->f", before, after) < np.cos(np.radians(turn)) * length
    return np.flatnonzero(sound & (turned_out | turned))


def border_vertices(triangles: np.ndarray) -> np.ndarray:
    """The vertices on edges that belong to one triangle only, sorted."""
    edges = np.sort(triangles[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    unique, count = np.unique(edges, axis=0, return_counts=True)
    return np.unique(unique[count == 1])


def _laplacian(quads: np.ndarray, count: int) -> tuple[csr_matrix, np.ndarray]:
    """[V, V] each vertex minus the mean of its neighbours, and the edges [E, 2]."""
    edges = np.unique(np.sort(np.stack([quads, np.roll(quads, -1, axis=1)], axis=-1).reshape(-1, 2), axis=1), axis=0)
    both = np.concatenate([edges, edges[:, ::-1]])
    linked = coo_matrix((np.ones(len(both)), both.T), shape=(count, count)).tocsr()
    degree = np.maximum(np.asarray(linked.sum(axis=1)).ravel(), 1.0)
    return csr_matrix(diags(np.ones(count)) - diags(1 / degree) @ linked), edges


def _strain(edges: np.ndarray, weights: np.ndarray, count: int) -> csr_matrix:
    """[V, V] the quadratic form sum over edges of their mean weight times the squared difference along them."""
    ends = np.arange(len(edges))
    signs = np.concatenate([np.ones(len(edges)), -np.ones(len(edges))])
    across = coo_matrix((signs, (np.concatenate([ends, ends]), edges.T.ravel())), shape=(len(edges), count)).tocsr()
    return csr_matrix(across.T @ diags(weights[edges].mean(axis=1)) @ across)
