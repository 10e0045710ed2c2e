# SPDX-License-Identifier: GPL-3.0-or-later
"""The panel in other languages: Blender's own mechanism, so that labels follow the language of its interface.

A translation is an entry of `TRANSLATIONS`: language -> (context, English text) -> text. Labels of operators have the
context "Operator", everything else "*". Only what Blender does not know itself stands here, because an entry holds for
its whole interface; texts that are not listed appear in Blender's own translation or in English. German is here;
another language needs nothing but its entry.
"""

from __future__ import annotations

import bpy

from . import ROOT_PACKAGE

ANY, OPERATOR = "*", "Operator"

GERMAN = {
    (OPERATOR, "Generate Head"): "Kopf erzeugen",
    (OPERATOR, "Look Again"): "Noch einmal suchen",
    (OPERATOR, "New Textures"): "Neue Texturen",
    (OPERATOR, "Make a Variation"): "Variation erzeugen",
    (OPERATOR, "Show Colours"): "Farben zeigen",
    (OPERATOR, "Copy Report"): "Bericht kopieren",
    (OPERATOR, "Import Head"): "Kopf importieren",
    (OPERATOR, "Import Live Link Face"): "Live Link Face importieren",
    (OPERATOR, "Export Head"): "Kopf exportieren",
    (OPERATOR, "Neutral"): "Neutral",
    (OPERATOR, "Happy"): "Fröhlich",
    (OPERATOR, "Angry"): "Wütend",
    (OPERATOR, "Sad"): "Traurig",
    (OPERATOR, "Surprised"): "Überrascht",
    (OPERATOR, "Disgusted"): "Angeekelt",
    (OPERATOR, "Afraid"): "Ängstlich",
    (OPERATOR, "Relaxed"): "Entspannt",
    (OPERATOR, "Keep Expression as Asset"): "Ausdruck als Asset behalten",
    (OPERATOR, "Add Expressions to Assets"): "Ausdrücke zu den Assets",
    (ANY, "Portrait Head"): "Porträtkopf",
    (ANY, "Earlier Heads"): "Frühere Köpfe",
    (ANY, "This Computer"): "Dieser Rechner",
    (ANY, "Diffusion Models"): "Diffusionsmodelle",
    (ANY, "Skin Texture"): "Hauttextur",
    (ANY, "Even Out Light"): "Licht ausgleichen",
    (ANY, "As in the Photo"): "Wie im Foto",
    (ANY, "Start From"): "Beginnen mit",
    (ANY, "Only with Diffusion Models."): "Nur mit Diffusionsmodellen.",
    (ANY, "Expressions"): "Ausdrücke",
    (ANY, "Visemes"): "Viseme",
    (ANY, "Sliders"): "Regler",
    (ANY, "Brows"): "Brauen",
    (ANY, "Cheeks"): "Wangen",
    (ANY, "Mouth"): "Mund",
    (ANY, "Jaw"): "Kiefer",
    (ANY, "Tongue"): "Zunge",
    (ANY, "Keyframes at this frame"): "Keyframes in diesem Bild",
    (ANY, "Coarser Levels"): "Gröbere Stufen",
    (ANY, "As They Are"): "Wie sie sind",
    (ANY, "Choose a photo first"): "Zuerst ein Foto wählen",
}

TRANSLATIONS = {"de_DE": GERMAN}


def register() -> None:
    """Called when the add-on is enabled."""
    bpy.app.translations.register(ROOT_PACKAGE, TRANSLATIONS)


def unregister() -> None:
    """Called when the add-on is disabled."""
    bpy.app.translations.unregister(ROOT_PACKAGE)
