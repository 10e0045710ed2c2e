"""Cameras, light, rays and rasterisers: they know arrays and tensors, and nothing of heads."""
