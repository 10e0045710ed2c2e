# SPDX-License-Identifier: GPL-3.0-or-later
"""Look for the backend again, and read what it left in its log."""

from __future__ import annotations

import bpy

from . import jobs


class PORTRAITHEAD_OT_find_backend(bpy.types.Operator):
    """Look for the backend again, for instance after installing it"""

    bl_idname = "portrait_head.find_backend"
    bl_label = "Look Again"

    def execute(self, context: bpy.types.Context) -> set[str]:
        jobs.find_anew()
        return {"FINISHED"}


class PORTRAITHEAD_OT_open_log(bpy.types.Operator):
    """Open the backend's log"""

    bl_idname = "portrait_head.open_log"
    bl_label = "Open Log"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return jobs.log_path().exists()

    def execute(self, context: bpy.types.Context) -> set[str]:
        return bpy.ops.wm.path_open(filepath=str(jobs.log_path()))
