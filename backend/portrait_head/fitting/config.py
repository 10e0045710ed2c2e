"""Every number of the fit, with where it came from."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LandmarkConfig:
    """The fit to MediaPipe's landmarks. Lengths in the image are fractions of the inter-ocular distance."""

    iterations: int = 12  # Gauss-Newton steps; the cost is flat to 1e-4 after eight
    noise_floor: float = 0.012  # noise of each landmark in a photo, beside what the renders showed
    weight: float = 0.12  # of all landmarks: photos are harder than the renders that their errors come from
    outlier: float = 3.0  # residuals beyond so many standard deviations lose their pull
    depth_noise: float = 0.10  # of MediaPipe's own depth, which is a guess about people in general
    depth_count: float = 10.0  # all depths together tell about as much as so many free ones
    oval_noise: float = 0.0  # more noise of the oval, which hair and ears shift
    oval_slide: float = 0.30  # more noise of the oval at a yaw of 90 degrees: it follows the outline there
    curvature_mean: float = 0.8  # 1 / camera distance, 1/m: portraits are taken from 0.6 to 3 m
    curvature_sigma: float = 0.25  # freer, distance takes up what is shape
    focal_doubt: float = 0.08  # of a focal length from EXIF: how far heads differ in size, and what lenses round
    curvature_range: tuple[float, float] = (0.2, 2.5)
    expression_ridge: float = 0.7  # 1 / variance of an expression weight
    sideways_ridge: float = 40.0  # the same for jaw and mouth to a side, which would take up a face's asymmetry
    expression_sparsity: float = 0.3  # pull towards 0 of every expression weight
    expression_tie: float = 6.0  # pull of left and right towards each other
    settling_steps: int = 5  # of `settle`
    person_ridge: float = 1e6  # 1 / variance of the scores about those of the person, in `settle`
    score_limit: float = 3.5  # standard deviations that a mode of the prior may reach


@dataclass(frozen=True)
class ShadingConfig:
    """The fit to light and shade. Intensities in units of the face's mean colour."""

    face_pixels: float = 400.0  # from the top of the forehead to the chin, at most
    blurs: tuple[float, ...] = (3.0, 1.5, 0.8)  # pixels, coarse to fine
    iterations: int = 3  # Gauss-Newton steps a level
    weight: float = 40.0  # of all samples together: they tell about as much as so many free ones
    noise: float = 0.06  # what a plain skin differs from the model
    outlier: float = 0.3  # difference at which a blemish or a wrong shadow has lost three quarters of its weight
    landmark_share: float = 0.5  # of the landmarks' weight beside the shading
    albedo_order: int = 2
    openness_rays: int = 48  # rays from each sample that tell how open it lies
    albedo_ridge: float = 0.03  # against the mean square of the residuals
    light_ridge: float = 1e-4
    bent_ridge: float = 1e-3  # of the second-order harmonics beside a key light, which explains them too
    light_rounds: int = 2  # of light and albedo in turn before every step
    key_wrap: float = 0.25  # cosine past the terminator that light still reaches: skin is not opaque
    gloss_power: float = 24.0  # exponent of the highlight
    gloss_ridge: float = 1e-3
    shadow_cone: float = 0.05  # radians, half the lamp's width
    shadow_rays: int = 4  # round the middle one
    edge_doubt: float = 3.0  # share of its weight, times 4, that a sample on the edge of a shadow loses
    key_thinning: int = 2  # of the samples that the search for the key light looks at
    key_directions: int = 90  # over the sphere, that it begins with
    key_behind: float = -0.2  # cosine to the camera's direction under which no lamp is looked for
    key_steps: tuple[float, ...] = (0.22, 0.11, 0.08, 0.04)  # radians round the best one; the last two when refining
    search_ridge: float = 0.02  # of all harmonics but the constant during the search: free, they hide the lamp
    least_key: float = 0.02  # least share of the face's brightness that a lamp gives
    facing: float = 0.03  # least cosine between a sample's normal and the view
    channels: tuple[float, float, float] = (0.3, 1.0, 1.0)  # light creeps through skin, red the farthest
    dark_floor: float = 0.5  # brightness under which the dark is believed no more finely
    hair_margin: float = 0.06  # inter-ocular distances that a sample keeps from hair and all that is not bare skin
    least_samples: int = 300  # fewer do not tell light from shape
    kept_away: tuple[tuple[str, float], ...] = (
        ("brow_left", 0.006), ("brow_right", 0.006), ("eye_loop_left", 0.004), ("eye_loop_right", 0.004),
        ("eye_socket_left", 0.001), ("eye_socket_right", 0.001), ("lips", 0.002), ("nostrils", 0.002),
    )  # fmt: skip


@dataclass(frozen=True)
class ContourConfig:
    """The outline of the jaw. Lengths in the image are fractions of the inter-ocular distance."""

    weight: float = 30.0  # of the whole outline: it tells about as much as so many free points
    noise: float = 0.015
    outlier: float = 0.04
    reach: float = 0.12  # how far an edge is looked for
    steps: int = 49
    least_strength: float = 1.5  # change of colour over an inter-ocular distance, in units of the colour itself
    least_points: int = 8
    below: float = 0.08  # metres, height on the template: higher up there is hair
    lift: float = 0.002  # metres outside the rim from which the camera must be seen


@dataclass(frozen=True)
class ResidualConfig:
    """Offsets in the image plane for what the coefficients cannot explain."""

    cap: float = 0.006  # metres
    # Of it in the head at rest. It is this person's features and the landmarks' noise in one: without it the texture is
    # bent by what is left out (a face network then sees another person), with half of it two pictures of one person
    # give shapes too far apart; known shapes are met best by a quarter to a third.
    resting_share: float = 0.35
    outlier: float = 0.004  # metres off what its neighbours say at which a landmark counts half
    oval_turn: float = 0.03  # 1 - cos(yaw) at which the oval's pull has fallen to 1/e
    smoothness: float = 0.02  # of the squared Laplacian against one trusted landmark
    stiffness: float = 2.0  # the same, for telling wrong landmarks


@dataclass(frozen=True)
class CheckConfig:
    """When the user is told that a photo is hard."""

    strong_expression: float = 0.002  # metres, mean over the face; calm faces reach 1.7 mm, a broad smile 2.4
    turned: float = 40.0  # degrees of yaw or pitch
    poor_landmarks: float = 0.045  # of the inter-ocular distance


@dataclass(frozen=True)
class FitConfig:
    """All of the fit's numbers."""

    landmarks: LandmarkConfig = LandmarkConfig()
    settling: LandmarkConfig = LandmarkConfig(
        noise_floor=0.02, weight=0.6, outlier=6.0, depth_count=1.0, oval_noise=0.03, expression_ridge=2.0,
        expression_sparsity=1.0, person_ridge=10.0,
    )  # fmt: skip
    shading: ShadingConfig = ShadingConfig()
    contour: ContourConfig = ContourConfig()
    residual: ResidualConfig = ResidualConfig()
    checks: CheckConfig = CheckConfig()
