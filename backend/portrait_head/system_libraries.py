"""Which Debian package holds a shared library that a Python wheel needs and the system lacks."""

from __future__ import annotations

import re

from portrait_head.errors import PortraitHeadError

_MISSING = re.compile(r"(lib[\w+.-]+?\.so[.\d]*): cannot open shared object file")
DEBIAN_PACKAGES = {
    "libGL.so.1": "libgl1",
    "libEGL.so.1": "libegl1",
    "libGLESv2.so.2": "libgles2",
    "libgthread-2.0.so.0": "libglib2.0-0",
    "libglib-2.0.so.0": "libglib2.0-0",
    "libgomp.so.1": "libgomp1",
    "libSM.so.6": "libsm6",
    "libICE.so.6": "libice6",
    "libXext.so.6": "libxext6",
    "libXrender.so.1": "libxrender1",
}


def explain(error: ImportError) -> PortraitHeadError | None:
    """A sentence for an import that failed for want of a system library; None for any other reason."""
    found = _MISSING.search(str(error))
    if found is None:
        return None
    library = found.group(1)
    package = DEBIAN_PACKAGES.get(library)
    if package is None:
        hint = f"Install the system package that provides {library}."
    else:
        hint = f"On Debian and Ubuntu: sudo apt-get install {package}"
    return PortraitHeadError("missing_library", f"The system library {library} is not installed.", hint)
