# SPDX-License-Identifier: GPL-3.0-or-later
# pyright: reportInvalidTypeForm=false
"""The dialog that says what went wrong, and the report that it copies."""

from __future__ import annotations

import bpy

from ..client.errors import ClientError
from ..client.installer import own_version
from ..report import failure_report
from ..ui.status import draw_text
from . import backend, jobs

WIDTH = 420


class PORTRAITHEAD_OT_show_error(bpy.types.Operator):
    """Say what went wrong and what to do"""

    bl_idname = "portrait_head.show_error"
    bl_label = "The Head Could Not Be Made"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return jobs.status.error is not None

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_props_dialog(self, width=WIDTH, title=self.bl_label)

    def draw(self, context: bpy.types.Context) -> None:
        error = jobs.status.error
        if error is None:
            return
        layout = self.layout
        draw_text(layout, error.message, icon="ERROR", width=WIDTH)
        if error.hint:
            layout.separator()
            draw_text(layout, error.hint, icon="INFO", width=WIDTH)
        layout.separator()
        row = layout.row()
        row.operator("portrait_head.copy_report", icon="COPYDOWN")
        row.operator("portrait_head.open_log", icon="TEXT")
        layout.column().template_popup_confirm("", text="", cancel_text="Close")  # nothing is to be confirmed

    def execute(self, context: bpy.types.Context) -> set[str]:
        """The dialog is closed."""
        return {"FINISHED"}


class PORTRAITHEAD_OT_open_install_log(bpy.types.Operator):
    """Open what the installer has written down"""

    bl_idname = "portrait_head.open_install_log"
    bl_label = "Open Log"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return jobs.install_log_path().exists()

    def execute(self, context: bpy.types.Context) -> set[str]:
        return bpy.ops.wm.path_open(filepath=str(jobs.install_log_path()))


class PORTRAITHEAD_OT_copy_report(bpy.types.Operator):
    """Copy what went wrong, the versions and the end of the log to the clipboard, ready for a bug report"""

    bl_idname = "portrait_head.copy_report"
    bl_label = "Copy Report"

    installation: bpy.props.BoolProperty(
        name="Of the Installation",
        description="What went wrong with the backend's installation, not with a head",
        options={"SKIP_SAVE", "HIDDEN"},
    )

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return jobs.status.error is not None or backend.status.error is not None

    def execute(self, context: bpy.types.Context) -> set[str]:
        error, log = jobs.status.error, jobs.log_path()
        if self.installation:
            error, log = backend.status.error, jobs.install_log_path()
        if error is None:
            self.report({"INFO"}, "Nothing has gone wrong")
            return {"CANCELLED"}
        found = jobs.find(context)
        machine = jobs.machine()
        device = f"{machine.in_words} ({machine.name})" if machine is not None else "not started"
        where = found.message if isinstance(found, ClientError) else f"{found.found}, {device}"
        context.window_manager.clipboard = failure_report(error, bpy.app.version_string, own_version(), where, log)
        self.report({"INFO"}, "The report is on the clipboard")
        return {"FINISHED"}


CLASSES = (PORTRAITHEAD_OT_show_error, PORTRAITHEAD_OT_open_install_log, PORTRAITHEAD_OT_copy_report)
