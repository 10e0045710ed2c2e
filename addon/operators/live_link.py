# SPDX-License-Identifier: GPL-3.0-or-later
# pyright: reportInvalidTypeForm=false
"""Bring in a recording of Live Link Face."""

from __future__ import annotations

from pathlib import Path

import bpy

from ..scene.live_link import RecordingError, read_recording
from ..scene.performance import apply_recording
from .face import HeadOperator


class PORTRAITHEAD_OT_import_live_link(HeadOperator, bpy.types.Operator):
    """Animate the head with a recording of Apple's Live Link Face app (CSV file)"""

    bl_idname = "portrait_head.import_live_link"
    bl_label = "Import Live Link Face"

    filepath: bpy.props.StringProperty(name="File", description="CSV file of the recording", subtype="FILE_PATH")
    filter_glob: bpy.props.StringProperty(default="*.csv", options={"HIDDEN"})
    start: bpy.props.IntProperty(name="Start Frame", description="Frame of the scene at which it begins", default=1)
    head_motion: bpy.props.FloatProperty(
        name="Head Motion",
        description="How much of the recorded head rotation goes to the head bone; negative turns it the other way",
        default=1.0,
        soft_min=0.0,
        soft_max=1.0,
        min=-2.0,
        max=2.0,
    )
    eyes: bpy.props.EnumProperty(
        name="Eyes",
        description="What turns the eyes",
        items=(
            ("KEYS", "Shape Keys", "The gaze keys turn the eyes and move the lids with them"),
            ("BONES", "Eye Bones", "The eye bones turn by the recorded angles; the lids stay"),
        ),
    )
    set_range: bpy.props.BoolProperty(
        name="Set Scene Range", description="Let the scene's frame range end with the recording", default=False
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.start = context.scene.frame_current
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        head = self.head(context)
        path = Path(bpy.path.abspath(self.filepath))
        try:
            recording = read_recording(path)
        except RecordingError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        render = context.scene.render
        fps = render.fps / render.fps_base
        made = apply_recording(head, recording, path.stem, self.start, fps, self.head_motion, self.eyes == "BONES")
        if self.set_range:
            context.scene.frame_start, context.scene.frame_end = made.first, made.last
        if made.missing:
            self.report({"WARNING"}, f"The head lacks {len(made.missing)} of the recorded keys: {made.missing[0]}, …")
        lost = f", {recording.lost} frames without a tracked face bridged" if recording.lost else ""
        self.report({"INFO"}, f"{len(made.keys)} keys, frames {made.first} to {made.last}{lost}")
        return {"FINISHED"}


CLASSES = (PORTRAITHEAD_OT_import_live_link,)
