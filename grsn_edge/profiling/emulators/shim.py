"""A folder with one Python module that stands in for a hardware library of the same name."""

from __future__ import annotations

import tempfile
from pathlib import Path

__all__ = ["Shim"]


class Shim:
    """Put :attr:`folder` first in ``PYTHONPATH`` and a program imports the emulated library."""

    def __init__(self, module: str, source: str) -> None:
        self._keep = tempfile.TemporaryDirectory(prefix=f"grsn-edge-{module}-")
        self.folder = Path(self._keep.name)
        (self.folder / f"{module}.py").write_text(source, encoding="utf-8")

    def remove(self) -> None:
        """Delete the folder."""
        self._keep.cleanup()
