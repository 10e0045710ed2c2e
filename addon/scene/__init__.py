# SPDX-License-Identifier: GPL-3.0-or-later
"""From a head asset to Blender's scene, and from the scene to files for engines."""
