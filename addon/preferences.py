# SPDX-License-Identifier: GPL-3.0-or-later
# pyright: reportInvalidTypeForm=false
"""What is set once for this computer."""

from pathlib import Path

import bpy

from . import ROOT_PACKAGE, packs
from .client.backend import data_folder
from .operators import jobs
from .ui.preferences_page import draw_page


class PortraitHeadPreferences(bpy.types.AddonPreferences):
    """Where the backend is, what it works with, what it writes down."""

    bl_idname = ROOT_PACKAGE

    backend: bpy.props.StringProperty(
        name="Backend",
        description=(
            "How to start the backend: the folder of the virtual environment it is installed in, or a command such as "
            "“ssh box portrait-head worker” for another computer. Leave empty to look in the usual places"
        ),
        update=lambda preferences, context: jobs.find_anew(),
    )
    install_folder: bpy.props.StringProperty(
        name="Install Folder",
        description="Where Install puts the backend, about 3 GB; empty for your user folder. It outlives Blender's "
        "versions",
        subtype="DIR_PATH",
        update=lambda preferences, context: jobs.find_anew(),
    )
    wheels_folder: bpy.props.StringProperty(
        name="Offline Packages",
        description="Folder with the Python packages to install from, for a computer without internet access; empty to "
        "download them",
        subtype="DIR_PATH",
    )
    device: bpy.props.EnumProperty(
        name="Compute On",
        description="What the backend is installed for and works on",
        items=(
            ("auto", "Automatic", "The NVIDIA graphics card where there is one, else the processor"),
            ("cpu", "Processor", "The processor, even where there is a graphics card"),
            ("cuda", "NVIDIA Card", "The NVIDIA graphics card"),
        ),
        update=lambda preferences, context: jobs.find_anew(),
    )
    models_folder: bpy.props.StringProperty(
        name="Model Folder",
        description="Where model packs lie, up to 20 GB; empty for your user folder",
        subtype="DIR_PATH",
        update=lambda preferences, context: jobs.find_anew(),
    )
    log_level: bpy.props.EnumProperty(
        name="Log",
        description="How much the backend writes to its log",
        items=(("normal", "Normal", "Warnings and errors"), ("detailed", "Detailed", "Everything, for a bug report")),
        update=lambda preferences, context: jobs.find_anew(),
    )

    def install_path(self) -> Path:
        """The folder that Install works in."""
        return Path(bpy.path.abspath(self.install_folder)) if self.install_folder else data_folder()

    def models_path(self) -> Path:
        """The folder that packs lie in."""
        return Path(bpy.path.abspath(self.models_folder)) if self.models_folder else packs.default_folder()

    def draw(self, context: bpy.types.Context) -> None:
        """Draw the page in Blender's preferences."""
        draw_page(self.layout, self)


def register() -> None:
    """Called when the add-on is enabled."""
    bpy.utils.register_class(PortraitHeadPreferences)


def unregister() -> None:
    """Called when the add-on is disabled."""
    bpy.utils.unregister_class(PortraitHeadPreferences)
