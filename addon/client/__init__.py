# SPDX-License-Identifier: GPL-3.0-or-later
"""Everything between Blender and the backend process: no bpy, no threads, only the standard library."""
