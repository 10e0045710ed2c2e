# SPDX-License-Identifier: GPL-3.0-or-later
# pyright: reportInvalidTypeForm=false
"""Heads that were made before: add one again, vary it, give it other textures, look at its files."""

from __future__ import annotations

import dataclasses

import bpy

from ..client.request import SKIN
from ..job_records import JobRecord
from ..scene.asset import AssetError
from ..scene.heads import active_head
from ..scene.importer import import_head, made_in
from ..ui.status import draw_words
from ..ui.view import show
from . import job_folders, jobs


class _OnRecord:
    """What the operators on an earlier job have in common"""

    job: bpy.props.StringProperty(name="Job", description="Name of the job folder", options={"SKIP_SAVE", "HIDDEN"})

    def known(self) -> JobRecord | None:
        """The record of the job; None where it is gone."""
        return next((each for each in job_folders.records() if each.folder.name == self.job), None)

    def record(self) -> JobRecord | None:
        """The same; reports where there is none."""
        found = self.known()
        if found is None:
            job_folders.look_again()
            self.report({"ERROR"}, "This job is no longer there.")  # type: ignore[attr-defined]  # an operator's
        return found


class PORTRAITHEAD_OT_reimport(_OnRecord, bpy.types.Operator):
    """Add this head to the scene once more"""

    bl_idname = "portrait_head.reimport"
    bl_label = "Import Again"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        record = self.record()
        if record is None:
            return {"CANCELLED"}
        try:
            head = import_head(record.asset)
        except AssetError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        show(context, head.head)
        return {"FINISHED"}


class PORTRAITHEAD_OT_variation(_OnRecord, bpy.types.Operator):
    """Make one more head of the same photo: what the photo leaves open comes out differently"""

    bl_idname = "portrait_head.variation"
    bl_label = "Make a Variation"

    def execute(self, context: bpy.types.Context) -> set[str]:
        record = self.record()
        if record is None:
            return {"CANCELLED"}
        _take_over(context.scene.portrait_head, record)
        seeds = (each.settings.seed for each in job_folders.records() if each.photo == record.photo)
        context.scene.portrait_head.seed = max(seeds, default=record.settings.seed) + 1
        return _generate(self, context, "HEAD")


class PORTRAITHEAD_OT_retexture(_OnRecord, bpy.types.Operator):
    """Paint the active head anew, in another size, light or style; shape and pose stay"""

    bl_idname = "portrait_head.retexture"
    bl_label = "New Textures"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if active_head(context) is None:
            cls.poll_message_set("Select the head that is to get the new textures")
            return False
        return True

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_props_dialog(self, title=self.bl_label, confirm_text="Paint")

    def draw(self, context: bpy.types.Context) -> None:
        """Ask how to paint: these are the panel's own settings."""
        settings, record = context.scene.portrait_head, self.known()
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        layout.prop(settings, "texture_size")
        layout.prop(settings, "delight")
        draw_words(layout, settings, ("style",), record is not None and record.settings.tier == "diffusion")

    def execute(self, context: bpy.types.Context) -> set[str]:
        record, head = self.record(), active_head(context)
        if record is None or head is None:
            return {"CANCELLED"}
        if made_in(head) != record.folder.name:
            self.report({"ERROR"}, f"“{head.collection.name}” is another head: paint it anew from its own row.")
            return {"CANCELLED"}
        _take_over(context.scene.portrait_head, record)
        return _generate(self, context, "TEXTURES")


class PORTRAITHEAD_OT_open_job(_OnRecord, bpy.types.Operator):
    """Open the folder with the files of this head"""

    bl_idname = "portrait_head.open_job"
    bl_label = "Open Folder"

    def execute(self, context: bpy.types.Context) -> set[str]:
        record = self.record()
        return {"CANCELLED"} if record is None else bpy.ops.wm.path_open(filepath=str(record.folder))


def _take_over(settings: bpy.types.PropertyGroup, record: JobRecord) -> None:
    """Puts what shaped the earlier head into the panel; how its skin is painted stays as the artist has it there."""
    settings.photo = record.settings.photo
    for each in dataclasses.fields(record.settings):
        if each.name not in ("photo", *SKIN):  # a new photo puts the face back, so it comes first
            setattr(settings, each.name, getattr(record.settings, each.name))


def _generate(operator: bpy.types.Operator, context: bpy.types.Context, purpose: str) -> set[str]:
    if reason := jobs.why_not(context):
        operator.report({"ERROR"}, f"{reason}.")
        return {"CANCELLED"}
    how = "EXEC_DEFAULT" if bpy.app.background or context.window is None else "INVOKE_DEFAULT"
    done = bpy.ops.portrait_head.generate(how, purpose=purpose)
    return {"CANCELLED"} if "CANCELLED" in done else {"FINISHED"}


CLASSES = (
    PORTRAITHEAD_OT_reimport,
    PORTRAITHEAD_OT_variation,
    PORTRAITHEAD_OT_retexture,
    PORTRAITHEAD_OT_open_job,
)
