"""One portrait photo in, one textured, animatable 3D head out.

The Python API is `generate(HeadRequest(photos=("face.jpg",)), job_folder)`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from portrait_head.errors import PortraitHeadError
from portrait_head.request import HeadRequest

if TYPE_CHECKING:
    from portrait_head.pipeline import Listener

__version__ = "0.1.0"
__all__ = ["HeadRequest", "PortraitHeadError", "generate"]


def generate(request: HeadRequest, folder: str | Path, listen: Listener | None = None) -> Path:
    """Make the head that `request` asks for in the job folder `folder` and return the folder of the head asset.

    A job that was interrupted continues after its last finished stage.

    Args:
        request: what to make.
        folder: the job folder; made when it does not exist.
        listen: called with every event of `portrait_head.events`.

    Raises:
        PortraitHeadError: with what was wrong and what to do.
    """
    from portrait_head.pipeline import generate as run  # a second of imports that `import portrait_head` can do without

    arguments: dict[str, Any] = {} if listen is None else {"listen": listen}
    return run(request, Path(folder), **arguments)
