"""Every number of the sculpting, with where it came from. Lengths are metres unless said otherwise."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from portrait_head.rendering.orbit import OrbitRanges


@dataclass(frozen=True)
class GridConfig:
    """The grid of tetrahedra."""

    resolution: int = 80  # cubes along the longest side; 128 and more tell lips and lids apart
    margin: float = 0.03  # of air around the first surface
    reach: float = 0.010  # by which a signed distance may change; lattices move the surface further
    join: float = 0.002  # over which hair runs into skin


@dataclass(frozen=True)
class FieldConfig:
    """What is optimised: displacements of the grid on ever finer lattices, signed distances and shifts of its vertices.

    ID-Sculpt optimises a bare value a vertex with Adam (0.9, 0.99) at 5e-3 of a box of +-2, about 1e-3 of a head; here
    most of the way is gone by the coarse lattices, which carry what an outline tells to the surface behind it.
    """

    spacings: tuple[float, ...] = (0.040, 0.020, 0.010)
    lattice_step: tuple[float, ...] = (4e-4, 3e-4, 2e-4)  # Adam's step, the same order
    vertex_step: float = 1.0e-4
    deformation_step: float = 0.01  # in units of the tanh's argument
    deformation_reach: float = 0.45  # of a cell; DMTet allows half an edge
    band_hops: int = 2  # edges around the surface that a band holds, so that it is laid anew seldom
    betas: tuple[float, float] = (0.9, 0.99)  # ID-Sculpt
    floor: float = 0.1  # of Adam's second moment, as a share of the largest
    fine_cell: float = 0.003  # metres: the surface of coarser cells is taken from a grid of half the cell
    last_step: float = 0.2  # steps shrink to this share, along half a cosine


@dataclass(frozen=True)
class Weights:
    """Of the losses' means. Where ID-Sculpt has one, its ratio to the others stands beside it."""

    mask: float = 20.0  # ID-Sculpt: 100
    normal: float = 2.0  # ID-Sculpt: 10000, of a sum that its renderer divides by the pixels
    depth: float = 8.0e3  # per square metre; ID-Sculpt: 100 of depth between 0 and 1
    depth_correlation: float = 1.0  # ID-Sculpt: 100
    landmarks: float = 2.0e4  # per square metre
    laplacian: float = 1.0e2  # per square metre; ID-Sculpt: 1e5, then 1.5e5 in its own unit of 0.15 m
    normal_consistency: float = 0.02  # ID-Sculpt: 500, then 10000
    sign: float = 0.01  # nvdiffrec: 0.2, falling to 0.01
    hold: float = 3.0e2  # per square metre of departure from the first surface where nothing speaks for it
    smooth: float = 3.0e5  # per square metre of what single vertices add to the lattices, where nothing speaks for it
    deformation: float = 1.0e5  # per square metre
    guidance: float = 1.0


@dataclass(frozen=True)
class SculptConfig:
    """All of the sculpting's numbers."""

    grid: GridConfig = GridConfig()
    moves: FieldConfig = FieldConfig()
    image_size: int = 256  # pixels of the longer side of a view
    settle_steps: int = 12  # first phase: every view of the fitted head, as ID-Sculpt's 1000 of 6000
    refine_steps: int = 70  # second phase: the photo's view, and guidance
    settle: Weights = Weights(hold=0.0, smooth=3.0e4, deformation=1.0e4)
    refine: Weights = Weights()
    # Elevation and azimuth, degrees, of the pictures of the head begun with; ID-Sculpt: 40 at -5, all round.
    settle_views: tuple[tuple[float, float], ...] = (
        (0, 0), (0, 45), (0, -45), (0, 90), (0, -90), (0, 135), (0, -135), (0, 180), (45, 0), (-15, 0),
    )  # fmt: skip
    settle_distance: float = 1.2  # metres
    orbit: OrbitRanges = field(default_factory=OrbitRanges)
    guided_share: float = 0.5  # of the refining steps, where there is guidance: ID-Sculpt alternates
    referenced: float = 1.7  # times as many steps where the guide has references, which are further from the fit
    # An outline says how far an ear stands out only to who knows the camera's distance: ears keep the fit's place, and
    # where hair does not cover them their outline has no say.
    hold_ears: float = 100.0  # times as firmly as the rest
    ear_reach: float = 0.015  # metres around an ear
    # For the same reason skin keeps the fit's place where there are no references; hair goes to meet the outline.
    hair_lead: float = 0.006  # metres of hair over the skin from where on it moves freely
    smooth_bent: float = 20.0  # times the price of `smooth` where lattices meet the outline: vertices would add a seam
    jaw_lead: float = 0.020  # metres under the corners of the mouth from where on skin goes along
    jaw_share: float = 0.5  # of the way; all of it made known jaw lines 2 % worse, nothing missed their outline
    preview_every: int = 25  # steps
    check_every: int = 10  # steps between the checks that keep the best
    seed: int = 0

    def unreferenced(self) -> SculptConfig:
        """The same for a photo that has nothing but its outline: what the fit says of the face is what `hold` keeps.

        Asking for the fit's own normals and depth once more only moves what is beside them: without, the face is 2 %
        nearer to the truth and the jaw line 14 %, on two people of known shape.
        """
        fitted = {"normal": 0.0, "depth": 0.0, "depth_correlation": 0.0, "landmarks": 0.0}
        return replace(self, refine=replace(self.refine, **fitted))

    def scaled(self, factor: float) -> SculptConfig:
        """The same schedule with `factor` times the steps."""
        return replace(
            self,
            settle_steps=max(round(self.settle_steps * factor), 1),
            refine_steps=max(round(self.refine_steps * factor), 1),
        )


def preset(name: str) -> SculptConfig:
    """The numbers for a request's preset: "quick", "standard" or "high"."""
    standard = SculptConfig()
    if name == "quick":
        return replace(standard, grid=GridConfig(resolution=64), image_size=192).scaled(0.5)
    if name == "high":
        return replace(standard, grid=GridConfig(resolution=144), image_size=384).scaled(2.0)
    return standard
