"""The ID-guided diffusion prior and the score distillation that steers geometry with it."""
