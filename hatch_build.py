"""Build hook of hatchling: puts the compiled ``grsn_edge._native`` into wheels and checkouts.

Where nothing can be compiled, the package is installed without it and ``grsn_edge/_native.txt``
says why; ``grsn-edge doctor`` repeats it.

Environment:
    GRSN_EDGE_NATIVE: ``require`` makes a build without the extension an error.
    GRSN_EDGE_WHEEL: a platform of ``tools/build_wheels.py``, which sets it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

OWN = Path(__file__).resolve().parent


def load(path: Path) -> ModuleType:
    """A module of the source tree by its path."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is missing")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


native = load(OWN / "firmware" / "python" / "native_build.py")


class NativeBuildHook(BuildHookInterface):  # type: ignore[type-arg]
    """Compiles the extension before a wheel is put together, or an editable install is made."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the extension and the tag that it needs, or the reason why there is none."""
        target = native.TARGETS.get(os.environ.get("GRSN_EDGE_WHEEL", ""), native.HOST)
        editable = version == "editable"
        folder = Path(self.root) / ("grsn_edge" if editable else "build/native")
        folder.mkdir(parents=True, exist_ok=True)
        reason = native.place(folder, target)
        if reason and os.environ.get("GRSN_EDGE_NATIVE") == "require":
            raise RuntimeError(f"grsn_edge._native cannot be built: {reason}")
        if reason:
            self.app.display_warning(f"installed without the native backend: {reason}")
        else:
            build_data["pure_python"] = False
            build_data["tag"] = target.wheel_tag
        if not editable:
            made = native.note_of(folder) if reason else folder / target.file
            build_data["force_include"][str(made)] = f"grsn_edge/{made.name}"
