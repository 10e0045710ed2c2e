# SPDX-License-Identifier: GPL-3.0-or-later
"""The Blender side of Portrait Head.

Nothing is imported here but what registration needs, and that only while registering: `addon.client` is used and tested
without Blender.
"""

from __future__ import annotations

ROOT_PACKAGE = __name__.rpartition(".")[0] or __name__
"""The name Blender knows this extension by (`bl_ext.<repository>.portrait_head`); its preferences hang on it."""


def _modules():
    from . import operators, preferences, properties, translations, ui

    return (translations, preferences, properties, operators, ui)


def register() -> None:
    """Register every class with Blender."""
    for module in _modules():
        module.register()


def unregister() -> None:
    """Take back everything `register` did, in reverse, and stop a running backend."""
    for module in reversed(_modules()):
        module.unregister()
