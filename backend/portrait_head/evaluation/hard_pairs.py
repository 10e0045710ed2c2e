"""Two difficult photographs of every invented person: other light, other side, a smile, another camera distance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from portrait_head.evaluation.ict import ANCHORS, SKIN, KnownHeads
from portrait_head.evaluation.skin_paint import Complexion, FacePaint, draw_complexion
from portrait_head.geometry.surface import vertex_normals
from portrait_head.rendering.camera import PinholeCamera
from portrait_head.rendering.lighting import linear_to_bytes
from portrait_head.rendering.raycast import Hits, RayCaster, visibility

IMAGE_SIZE = 768
_FACE_PIXELS = 400  # hairline to chin
_FACE_METRES = 0.19
_SUPERSAMPLING = 2
_OCCLUSION_RAYS = 32
# How far red, green and blue light creeps round the terminator of skin, as a share of the radius.
_SUBSURFACE_WRAP = np.array([0.28, 0.13, 0.08])


@dataclass(frozen=True)
class Shot:
    """What differs between the two pictures of a person.

    Attributes:
        yaw, pitch, roll: degrees that the head is turned (to the subject's left, up, to its left shoulder).
        distance: metres from the camera to the face.
        expression: weights by the face model's names.
        light: [3] unit vector towards the key light, camera space.
        key, fill, ambient: [3] linear RGB of the three lights.
        background: [2, 3] linear RGB, top and bottom.
        seed: of the sensor noise.
    """

    yaw: float
    pitch: float
    roll: float
    distance: float
    expression: dict[str, float]
    light: np.ndarray
    key: np.ndarray
    fill: np.ndarray
    ambient: np.ndarray
    background: np.ndarray
    seed: int


@dataclass(frozen=True)
class Person:
    """One invented person: `vertices` [V, 3] at rest (the truth, metres), colours, and the two shots."""

    vertices: np.ndarray
    complexion: Complexion
    shots: tuple[Shot, Shot]


def draw_people(heads: KnownHeads, count: int, seed: int) -> list[Person]:
    """`count` people; the first ones are the same whatever the count."""
    people = []
    for number in range(count):
        generator = np.random.default_rng([seed, number])
        vertices = heads.person(generator.normal(size=len(heads.identity)))
        side = float(generator.choice([-1.0, 1.0]))
        people.append(
            Person(vertices, draw_complexion(generator), (_plain_shot(generator, side), _hard_shot(generator, side)))
        )
    return people


def _plain_shot(generator: np.random.Generator, side: float) -> Shot:
    expression = {"browInnerUp_L": 0.1, "browInnerUp_R": 0.1}
    return _shot(generator, generator.uniform(-6, 6), 2.0, expression, side * generator.uniform(25, 55))


def _hard_shot(generator: np.random.Generator, side: float) -> Shot:
    smile = generator.uniform(0.3, 0.7)
    tilt = generator.uniform(-0.1, 0.1)
    expression = {
        "mouthSmile_L": smile + tilt,
        "mouthSmile_R": smile - tilt,
        "cheekSquint_L": 0.4 * smile,
        "cheekSquint_R": 0.4 * smile,
        "eyeSquint_L": 0.3 * smile,
        "eyeSquint_R": 0.3 * smile,
        "mouthDimple_L": 0.2 * smile,
        "mouthDimple_R": 0.2 * smile,
    }
    yaw = float(generator.choice([-1.0, 1.0])) * generator.uniform(12, 20)
    return _shot(generator, yaw, 0.7, expression, -side * generator.uniform(25, 60))


def _shot(
    generator: np.random.Generator, yaw: float, distance: float, expression: dict[str, float], azimuth: float
) -> Shot:
    elevation = np.radians(generator.uniform(15, 45))
    azimuth = np.radians(azimuth)
    warmth = generator.uniform(-0.12, 0.12)
    tint = np.array([1 + warmth, 1.0, 1 - warmth])
    return Shot(
        yaw=float(yaw),
        pitch=float(generator.uniform(-5, 5)),
        roll=float(generator.uniform(-4, 4)),
        distance=distance * float(generator.uniform(0.93, 1.07)),
        expression=expression,
        light=np.array([np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation)]),
        key=tint * generator.uniform(1.7, 2.3),
        fill=tint[::-1] * generator.uniform(0.25, 0.55),
        ambient=tint[::-1] * generator.uniform(0.35, 0.6),
        background=generator.uniform(0.02, 0.5, (2, 1)) * generator.uniform(0.8, 1.2, (2, 3)),
        seed=int(generator.integers(0, 2**31)),
    )


def photograph(heads: KnownHeads, person: Person, shot: Shot) -> np.ndarray:
    """The picture [IMAGE_SIZE, IMAGE_SIZE, 3] uint8 sRGB of a person."""
    paint = FacePaint(heads, person.complexion)
    scene = _Scene(heads, person, shot, paint)
    camera = _camera(scene.skin, shot, IMAGE_SIZE * _SUPERSAMPLING)
    rows, columns = _window(scene.vertices, camera)
    pixels = np.stack(np.meshgrid(columns + 0.5, rows + 0.5), axis=-1).reshape(-1, 2)
    hits = scene.caster.cast(camera.position, camera.rays(pixels))
    size = camera.width
    backdrop = np.linspace(shot.background[0], shot.background[1], size)[:, None].repeat(size, axis=1)
    patch = backdrop[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].reshape(-1, 3)
    patch[hits.hit] = scene.shade(hits, camera)
    backdrop[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = patch.reshape(len(rows), len(columns), 3)
    image = backdrop.reshape(IMAGE_SIZE, _SUPERSAMPLING, IMAGE_SIZE, _SUPERSAMPLING, 3).clip(0, 1).mean(axis=(1, 3))
    noise = np.random.default_rng(shot.seed).normal(size=image.shape) * 0.01 * np.sqrt(image + 0.005)
    return linear_to_bytes(image + noise)


@dataclass(frozen=True)
class TrueView:
    """What a photograph would show to a perfect eye, pixel by pixel.

    Attributes:
        normals: [IMAGE_SIZE, IMAGE_SIZE, 3] float32 unit, camera space; zero beside the head.
        depth: [IMAGE_SIZE, IMAGE_SIZE] float32 metres from the camera's plane; infinite beside the head.
    """

    normals: np.ndarray
    depth: np.ndarray


def true_view(heads: KnownHeads, person: Person, shot: Shot) -> TrueView:
    """Normals and depth of what `photograph` shows."""
    scene = _Scene(heads, person, shot, FacePaint(heads, person.complexion))
    camera = _camera(scene.skin, shot, IMAGE_SIZE)
    return scene.look(camera)


def eyeballs(heads: KnownHeads, person: Person) -> list[tuple[np.ndarray, float]]:
    """Centre [3] and radius, metres, of the left and the right eyeball."""
    return [_sphere_through(person.vertices[part]) for part in heads.scleras]


def with_eyeballs(
    skin: np.ndarray, triangles: np.ndarray, balls: list[tuple[np.ndarray, float]]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Skin [S, 3] with triangles [T, 3] and two balls, centre and radius, as one mesh.

    Returns:
        vertices [V, 3], skin first; triangles [F, 3]; of each triangle [F] int8 whose it is, 0 for the skin's.
    """
    ball_vertices, ball_triangles = _unit_sphere()
    vertices, faces, owner = [skin], [triangles], [np.zeros(len(triangles), np.int8)]
    for number, (centre, radius) in enumerate(balls):
        faces.append(ball_triangles + sum(map(len, vertices)))
        vertices.append(centre + radius * ball_vertices)
        owner.append(np.full(len(ball_triangles), number + 1, np.int8))
    return np.concatenate(vertices), np.concatenate(faces), np.concatenate(owner)


class _Scene:
    """One posed head with its eyeballs, ready to be looked at."""

    def __init__(self, heads: KnownHeads, person: Person, shot: Shot, paint: FacePaint) -> None:
        self._paint, self._shot, self._roughness = paint, shot, person.complexion.roughness
        template = heads.neutral[SKIN]
        posed = person.vertices + heads.expression(shot.expression)
        hair = paint.hairiness(template)
        normals = vertex_normals(posed[SKIN], heads.triangles)
        self.skin = posed[SKIN] + (person.complexion.hair_height * hair)[:, None] * normals
        head_turn = Rotation.from_euler("YXZ", [shot.yaw, -shot.pitch, -shot.roll], degrees=True).as_matrix()
        self._turn = head_turn
        self._balls = eyeballs(heads, person)
        self.vertices, self._triangles, self._owner = with_eyeballs(self.skin, heads.triangles, self._balls)
        self.caster = RayCaster(self.vertices, self._triangles)
        self._template = np.concatenate([template, np.zeros((len(self.vertices) - len(template), 3))])
        self._normals = vertex_normals(self.vertices, self._triangles)
        self._openness = sky_openness(self.caster, self.vertices, self._normals)

    def look(self, camera: PinholeCamera) -> TrueView:
        """Normals and depth of every pixel."""
        hits = visibility(self.caster, camera)
        normals = _unit(hits.interpolate(self._normals, self._triangles).reshape(-1, 3)) @ camera.rotation.T
        normals = np.where(hits.hit[..., None], normals.reshape(*hits.hit.shape, 3), 0.0)
        depth = -camera.to_camera(hits.interpolate(self.vertices, self._triangles))[..., 2]
        return TrueView(normals.astype(np.float32), np.where(hits.hit, depth, np.inf).astype(np.float32))

    def shade(self, hits: Hits, camera: PinholeCamera) -> np.ndarray:
        """Linear RGB [N, 3] of the rays that hit, N of them."""
        hits = Hits(hits.triangle[hits.hit], hits.barycentric[hits.hit], hits.distance[hits.hit])
        points = hits.interpolate(self.vertices, self._triangles)
        normals = hits.interpolate(self._normals, self._triangles)
        normals = _unit(normals)
        openness = hits.interpolate(self._openness, self._triangles)
        view = _unit(camera.position - points)
        owner = self._owner[hits.triangle]
        albedo, gloss = np.empty((len(points), 3), np.float32), np.ones(len(points), np.float32)
        on_skin = owner == 0
        place = hits.interpolate(self._template, self._triangles)[on_skin]
        albedo[on_skin], gloss[on_skin] = self._paint.albedo(place)
        for number, (centre, radius) in enumerate(self._balls):
            here = owner == number + 1
            gaze = camera.position - centre
            albedo[here] = self._paint.eye((points[here] - centre) / radius, gaze / np.linalg.norm(gaze))
        inside = (np.einsum("nk,nk->n", normals, view) < -0.2) & on_skin
        albedo[inside] = (0.03, 0.008, 0.006)
        gloss[inside] = 0

        light = self._to_head(self._shot.light, camera)
        fill = self._to_head(np.array([-0.8 * np.sign(self._shot.light[0]), 0.1, 0.6]), camera)
        start = points + 4e-4 * normals
        shadowed = self.caster.occluded(start, np.broadcast_to(light, start.shape), skip=1e-4)
        facing = (normals @ light)[:, None]
        wrap = np.where(on_skin[:, None], _SUBSURFACE_WRAP, 0.0)
        diffuse = np.maximum(facing + wrap, 0) / (1 + wrap)
        # Light that creeps through skin softens a shadow's edge only where the surface itself turns away.
        diffuse = np.where(shadowed[:, None], np.where(facing < 0.1, 0.25 * diffuse, 0.0), diffuse)
        filled = np.maximum(normals @ fill, 0)[:, None] * openness[:, None]
        up = 0.65 + 0.35 * (normals @ self._to_head(np.array([0.0, 1.0, 0.0]), camera))
        irradiance = diffuse * self._shot.key + filled * self._shot.fill + (up * openness)[:, None] * self._shot.ambient
        bumped = normals.copy()
        bumped[on_skin] += 0.22 * self._paint.bumps(place)
        bumped = _unit(bumped)
        roughness = np.where(on_skin, self._roughness, 0.12)
        shine = ggx(bumped, view, light, roughness) * (~shadowed)
        shine_fill = ggx(bumped, view, fill, roughness) * openness
        specular = shine[:, None] * self._shot.key + shine_fill[:, None] * self._shot.fill
        return 0.62 * (albedo * irradiance + gloss[:, None] * specular)

    def _to_head(self, direction: np.ndarray, camera: PinholeCamera) -> np.ndarray:
        """A camera-space direction [3] as a unit vector in head space."""
        return camera.rotation.T @ (direction / np.linalg.norm(direction))


def ggx(normals: np.ndarray, view: np.ndarray, light: np.ndarray, roughness: np.ndarray) -> np.ndarray:
    """Specular reflection times the cosine, of light from one direction: [N].

    Source: Walter et al., "Microfacet Models for Refraction through Rough Surfaces" (2007), with Schlick's Fresnel
    term for skin (0.028 at normal incidence) and the Smith shadowing of Karis 2013.

    Args:
        normals, view: [N, 3] unit vectors.
        light: [3] unit vector.
        roughness: [N], perceptual (its square is the slope).
    """
    half = _unit(view + light)
    n_l, n_v = np.maximum(normals @ light, 0), np.maximum(np.einsum("nk,nk->n", normals, view), 1e-3)
    n_h, v_h = np.einsum("nk,nk->n", normals, half), np.einsum("nk,nk->n", view, half)
    slope = roughness**2
    spread = slope**2 / (np.pi * (n_h**2 * (slope**2 - 1) + 1) ** 2)
    fresnel = 0.028 + 0.972 * (1 - np.clip(v_h, 0, 1)) ** 5
    k = slope / 2
    visible = 1 / ((n_l * (1 - k) + k) * (n_v * (1 - k) + k))
    return spread * fresnel * visible * n_l * np.pi / 4


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors [N, 3] at length 1."""
    return vectors / np.maximum(np.sqrt(np.einsum("nk,nk->n", vectors, vectors)), 1e-12)[:, None]


def _camera(skin: np.ndarray, shot: Shot, size: int) -> PinholeCamera:
    """A camera before which the head is turned as the shot says, the head in the upper middle of the picture."""
    rotation = Rotation.from_euler("YXZ", [shot.yaw, -shot.pitch, -shot.roll], degrees=True).as_matrix()
    middle = skin[list(ANCHORS)].mean(axis=0) + [0.0, 0.012, -0.03]
    focal = _FACE_PIXELS / IMAGE_SIZE * size / _FACE_METRES * shot.distance
    translation = -rotation @ middle + [0.0, 0.0, -shot.distance]
    return PinholeCamera(rotation, translation, focal, np.array([size / 2, size * 0.55]), size, size)


def _window(vertices: np.ndarray, camera: PinholeCamera) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the picture that the head can cover."""
    pixels = camera.project(vertices)
    low = np.clip(np.floor(pixels.min(axis=0)).astype(int) - 1, 0, camera.width - 1)
    high = np.clip(np.ceil(pixels.max(axis=0)).astype(int) + 1, 1, camera.width)
    return np.arange(low[1], high[1]), np.arange(low[0], high[0])


def _sphere_through(points: np.ndarray) -> tuple[np.ndarray, float]:
    """Centre [3] and radius of the sphere nearest to `points` [N, 3] (linear least squares)."""
    solution = np.linalg.lstsq(np.c_[2 * points, np.ones(len(points))], (points**2).sum(axis=1), rcond=None)[0]
    return solution[:3], float(np.sqrt(solution[3] + solution[:3] @ solution[:3]))


def _unit_sphere(rings: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """A unit sphere of latitude rings: vertices [V, 3] and triangles [T, 3]."""
    polar, around = np.meshgrid(np.linspace(0, np.pi, rings + 1), np.arange(2 * rings) * np.pi / rings, indexing="ij")
    vertices = np.stack([np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)], axis=-1)
    row, column = np.meshgrid(np.arange(rings), np.arange(2 * rings), indexing="ij")
    corner = (row * 2 * rings + column).reshape(-1)
    right = (row * 2 * rings + (column + 1) % (2 * rings)).reshape(-1)
    quads = np.stack([corner, corner + 2 * rings, right + 2 * rings, right], axis=1)
    return vertices.reshape(-1, 3), quads[:, [0, 1, 2, 0, 2, 3]].reshape(-1, 3)


def sky_openness(caster: RayCaster, vertices: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Ambient visibility [V], 0 to 1: cosine-weighted share of each vertex's half space that is open."""
    index = np.arange(_OCCLUSION_RAYS) + 0.5
    radius, angle = np.sqrt(index / _OCCLUSION_RAYS), np.pi * (1 + 5**0.5) * index
    local = np.stack([radius * np.cos(angle), radius * np.sin(angle), np.sqrt(1 - radius**2)], axis=1)
    helper = np.where(np.abs(normals[:, :1]) < 0.9, [[1.0, 0, 0]], [[0, 1.0, 0]])
    tangent = np.cross(helper, normals)
    tangent /= np.maximum(np.linalg.norm(tangent, axis=1, keepdims=True), 1e-9)
    frame = np.stack([tangent, np.cross(normals, tangent), normals], axis=1)
    directions = np.einsum("rk,vkc->vrc", local, frame)
    blocked = caster.occluded((vertices + 5e-4 * normals)[:, None], directions, skip=1e-4)
    return 1 - blocked.mean(axis=1)
