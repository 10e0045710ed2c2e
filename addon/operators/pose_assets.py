# SPDX-License-Identifier: GPL-3.0-or-later
# pyright: reportInvalidTypeForm=false
"""Expressions in the asset browser."""

from __future__ import annotations

import bpy

from ..data.expressions import EXPRESSIONS, VISEMES
from ..scene import face_controls, pose_assets
from ..scene.importer import ImportedHead
from .face import HeadOperator, PosingOperator


class PORTRAITHEAD_OT_make_pose_assets(bpy.types.Operator):
    """Add every expression and viseme to this file's assets, to be found in the asset browser"""

    bl_idname = "portrait_head.make_pose_assets"
    bl_label = "Add Expressions to Assets"
    bl_options = {"REGISTER", "UNDO"}

    def execute(self, context: bpy.types.Context) -> set[str]:
        made = pose_assets.make_pose_assets((*EXPRESSIONS, *VISEMES))
        self.report({"INFO"}, f"{len(made)} expressions added to this file's assets")
        return {"FINISHED"}


class PORTRAITHEAD_OT_keep_pose_asset(HeadOperator, bpy.types.Operator):
    """Keep the face as it is now as an asset of this file"""

    bl_idname = "portrait_head.keep_pose_asset"
    bl_label = "Keep Expression as Asset"

    name: bpy.props.StringProperty(name="Name", description="What the asset is called", default="Expression")

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_props_dialog(self)

    def execute(self, context: bpy.types.Context) -> set[str]:
        pose_assets.make_pose_asset(self.name, pose_assets.current_pose(self.head(context)))
        return {"FINISHED"}


class PORTRAITHEAD_OT_apply_pose_asset(PosingOperator, bpy.types.Operator):
    """Put the expression of this asset on the active head"""

    bl_idname = "portrait_head.apply_pose_asset"
    bl_label = "Apply to Head"

    action: bpy.props.StringProperty(
        name="Asset", description="Name of an action in this file; the selected asset if empty", options={"SKIP_SAVE"}
    )

    def pose(self, context: bpy.types.Context, head: ImportedHead) -> list[str] | None:
        pose = self._chosen(context)
        if not pose:
            self.report({"ERROR"}, "This asset holds no expression. Choose one that Portrait Head made.")
            return None
        return face_controls.set_weights(head, pose)

    def _chosen(self, context: bpy.types.Context) -> dict[str, float]:
        if self.action:
            action = bpy.data.actions.get(self.action)
            return pose_assets.read_pose(action) if action else {}
        asset = getattr(context, "asset", None)
        if asset is None or asset.id_type != "ACTION":
            return {}
        if asset.local_id is not None:
            return pose_assets.read_pose(asset.local_id)
        return pose_assets.read_library_pose(asset.full_library_path, asset.name)


def draw_asset_menu(menu: bpy.types.Menu, context: bpy.types.Context) -> None:
    """Our entry in the context menu of an asset."""
    asset = getattr(context, "asset", None)
    if asset is not None and asset.id_type == "ACTION" and pose_assets.TAG in asset.metadata.tags:
        menu.layout.separator()
        menu.layout.operator("portrait_head.apply_pose_asset", icon="USER")


CLASSES = (
    PORTRAITHEAD_OT_make_pose_assets,
    PORTRAITHEAD_OT_keep_pose_asset,
    PORTRAITHEAD_OT_apply_pose_asset,
)
