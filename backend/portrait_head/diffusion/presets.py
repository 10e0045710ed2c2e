"""Named settings of the score distillation."""

from __future__ import annotations

from dataclasses import dataclass

from portrait_head.diffusion.references import ReferenceConfig
from portrait_head.diffusion.score_distillation import ScoreDistillationConfig, TimestepRange
from portrait_head.texturing.prior_painting import PRIOR_PAINTING_FAST, PriorPaintingConfig

# ID-Sculpt (AAAI 2025), section 3.1: equation 3 as it stands, the KL's own weight. The paper gives neither a guidance
# scale nor a range of timesteps: the scale is that of its code, the range that of threestudio, which it builds upon.
PAPER = ScoreDistillationConfig(
    estimator="sds",
    guidance_scale=50.0,
    timesteps=TimestepRange((0.02, 0.98), (0.02, 0.98)),
    weighting="kl",
)

# What the authors' public code runs (configs/liudehua_geo.yaml and models/guidance/ip_controlnet.py): VSD. Its LoRA
# sits on a UNet without identity; here both share the one UNet. Its guidance scale of 1 is the positive branch alone.
PAPER_CODE = ScoreDistillationConfig(
    estimator="vsd",
    guidance_scale=50.0,
    timesteps=TimestepRange((0.02, 0.5), (0.02, 0.5)),
    weighting="sigma_squared",
)

# Ours: no LoRA to train and one batched prediction a step. An identity prior needs far less guidance than text alone
# (Arc2Avatar gets by with 1.25); the range falls from coarse shape to detail as in HumanNorm (0.8 to 0.11) and
# ID-to-3D ([0.2, 0.7], later down to 0.05).
FAST = ScoreDistillationConfig(
    estimator="csd",
    guidance_scale=7.5,
    timesteps=TimestepRange((0.2, 0.6), (0.02, 0.15), moves=(0.2, 0.9)),
    weighting="sigma_squared",
)

# Interval score matching as Arc2Avatar sets it for a face prior (configs/config.yaml): low guidance, an inverted path.
CONSISTENT = ScoreDistillationConfig(
    estimator="ism",
    guidance_scale=1.25,
    timesteps=TimestepRange((0.02, 0.98), (0.02, 0.5), moves=(0.0, 0.5)),
    weighting="sigma_squared",
    interval=50,
    inversion_steps=3,
    inversion_stride=50,
)

# Self score distillation as HeadArtist runs it on a landmark ControlNet, from its public configs.
SELF = ScoreDistillationConfig(
    estimator="ssd",
    guidance_scale=100.0,
    timesteps=TimestepRange((0.02, 0.5), (0.02, 0.5)),
    weighting="sigma_squared",
)

# By the names that a request knows them by.
DISTILLATIONS = {"fast": FAST, "consistent": CONSISTENT, "self": SELF, "paper": PAPER, "paper-code": PAPER_CODE}


@dataclass(frozen=True)
class TierSettings:
    """How much work the diffusion tier does.

    Attributes:
        sculpt_steps: times the embedded tier's steps; half of them are guided. ID-Sculpt takes 2500 guided steps.
        references: settings of drawn references.
        painting: of the texture; views are brought together afterwards unless it shall be quick.
    """

    sculpt_steps: float
    references: ReferenceConfig
    painting: PriorPaintingConfig


def tier_settings(preset: str) -> TierSettings:
    """Those of a request's preset: "quick", "standard" or "high"."""
    steps, drawing_steps = {"quick": (1.0, 10), "standard": (4.0, 30), "high": (6.0, 30)}[preset]
    painting = PriorPaintingConfig(refinement=None) if preset == "quick" else PRIOR_PAINTING_FAST
    return TierSettings(steps, ReferenceConfig(steps=drawing_steps), painting)
