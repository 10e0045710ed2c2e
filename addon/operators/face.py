# SPDX-License-Identifier: GPL-3.0-or-later
# pyright: reportInvalidTypeForm=false
"""Pose the face of the active head: presets, mirror, reset, keyframes."""

from __future__ import annotations

import bpy

from ..data.expressions import EXPRESSIONS, PRESETS, VISEMES
from ..data.face_regions import REGIONS
from ..scene import face_controls
from ..scene.heads import active_head
from ..scene.importer import ImportedHead

NO_HEAD = "Select a head that Portrait Head made"


class HeadOperator:
    """What every operator on the active head has in common"""

    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if active_head(context) is None:
            cls.poll_message_set(NO_HEAD)  # type: ignore[attr-defined]  # an operator's
            return False
        return True

    @staticmethod
    def head(context: bpy.types.Context) -> ImportedHead:
        """The head; `poll` has seen that there is one."""
        head = active_head(context)
        assert head is not None
        return head


class PosingOperator(HeadOperator):
    """What every operator that moves the face has in common"""

    def pose(self, context: bpy.types.Context, head: ImportedHead) -> list[str] | None:
        """Move the face; returns the keys that changed, or None after a report of why nothing could be done."""
        raise NotImplementedError

    def execute(self, context: bpy.types.Context) -> set[str]:
        """While Blender's automatic keyframing is on, keyframe what changed, as dragging a slider does."""
        head = self.head(context)
        changed = self.pose(context, head)
        if changed is None:
            return {"CANCELLED"}
        if context.scene.tool_settings.use_keyframe_insert_auto:
            face_controls.insert_keys(head, changed, context.scene.frame_current)
        return {"FINISHED"}


class PORTRAITHEAD_OT_face_preset(PosingOperator, bpy.types.Operator):
    """Put this expression or viseme on the face"""

    bl_idname = "portrait_head.face_preset"
    bl_label = "Apply Expression"

    preset: bpy.props.EnumProperty(
        name="Expression",
        description="What to put on the face",
        items=tuple((each.identifier, each.label, each.description) for each in (*EXPRESSIONS, *VISEMES)),
    )
    strength: bpy.props.FloatProperty(
        name="Strength", description="How strong the expression is", min=0.0, max=1.0, default=1.0, subtype="FACTOR"
    )
    add: bpy.props.BoolProperty(
        name="Add", description="Add to the face as it is, instead of replacing what it shows", options={"SKIP_SAVE"}
    )

    @classmethod
    def description(cls, context: bpy.types.Context, properties: bpy.types.OperatorProperties) -> str:
        return f"{PRESETS[properties.preset].description}. Shift-click adds it to the face as it is"

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        self.add = event.shift
        return self.execute(context)

    def pose(self, context: bpy.types.Context, head: ImportedHead) -> list[str]:
        return face_controls.apply_preset(head, PRESETS[self.preset], self.strength, self.add)


class PORTRAITHEAD_OT_face_reset(PosingOperator, bpy.types.Operator):
    """Put the face, or one part of it, back to rest"""

    bl_idname = "portrait_head.face_reset"
    bl_label = "Reset Face"

    region: bpy.props.EnumProperty(
        name="Region",
        description="What to reset",
        items=(
            ("all", "Whole Face", "Every key"),
            *((each.identifier, each.label, f"Keys of {each.label}") for each in REGIONS),
        ),
        options={"SKIP_SAVE"},
    )

    def pose(self, context: bpy.types.Context, head: ImportedHead) -> list[str]:
        names = next((each.names for each in REGIONS if each.identifier == self.region), None)
        return face_controls.reset(head, names)


class PORTRAITHEAD_OT_face_mirror(PosingOperator, bpy.types.Operator):
    """Copy one side of the face over the other, or turn the face into its mirror image"""

    bl_idname = "portrait_head.face_mirror"
    bl_label = "Mirror Face"

    way: bpy.props.EnumProperty(
        name="Mirror",
        description="What becomes of the two sides; left and right are the person's own",
        items=(
            ("LEFT_TO_RIGHT", "Left to Right", "Copy the person's left side over the right one"),
            ("RIGHT_TO_LEFT", "Right to Left", "Copy the person's right side over the left one"),
            ("SWAP", "Swap Sides", "Turn the expression into its mirror image"),
        ),
    )

    def pose(self, context: bpy.types.Context, head: ImportedHead) -> list[str]:
        return face_controls.mirror(head, self.way)


class PORTRAITHEAD_OT_face_key(HeadOperator, bpy.types.Operator):
    """Insert keyframes for the face at the current frame"""

    bl_idname = "portrait_head.face_key"
    bl_label = "Insert Keyframes"

    scope: bpy.props.EnumProperty(
        name="Keys",
        description="Which keys get a keyframe",
        items=(
            ("CHANGED", "Changed", "Keys that are not at 0, and those with keyframes already"),
            ("ALL", "All", "Every key, also those at 0"),
        ),
    )

    def execute(self, context: bpy.types.Context) -> set[str]:
        head = self.head(context)
        names = face_controls.changed(head) if self.scope == "CHANGED" else list(face_controls.weights(head))
        if not names:
            self.report({"INFO"}, "The face is at rest: nothing has changed that could be keyed")
            return {"CANCELLED"}
        count = face_controls.insert_keys(head, names, context.scene.frame_current)
        self.report({"INFO"}, f"{count} keyframes at frame {context.scene.frame_current}")
        return {"FINISHED"}


CLASSES = (
    PORTRAITHEAD_OT_face_preset,
    PORTRAITHEAD_OT_face_reset,
    PORTRAITHEAD_OT_face_mirror,
    PORTRAITHEAD_OT_face_key,
)
