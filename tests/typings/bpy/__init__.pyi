"""To the type checker everything of Blender is Any: its real module is one compiled file without annotations."""

from typing import Any

def __getattr__(name: str) -> Any: ...
