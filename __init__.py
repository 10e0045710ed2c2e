# SPDX-License-Identifier: GPL-3.0-or-later
"""Blender looks for an extension's entry points in this folder; everything of it lives in `addon`."""

from .addon import register, unregister

__all__ = ["register", "unregister"]
