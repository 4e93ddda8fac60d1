"""A powercap tree of a two-socket machine: packages, their cores, a copy under mmio, and psys.

The script's power is that of package 0; package 1 draws half of it; the cores draw 80 % of their
package.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from grsn_edge.profiling.emulators.base import FolderEmulator

__all__ = ["RaplEmulator"]

_RANGE_UJ = 262_143_328_850
_SHARES: Mapping[str, tuple[str, float]] = {
    "intel-rapl:0": ("package-0", 1.0),
    "intel-rapl:0:0": ("core", 0.8),
    "intel-rapl:1": ("package-1", 0.5),
    "intel-rapl:1:0": ("core", 0.4),
    "intel-rapl:2": ("psys", 3.0),
    "intel-rapl-mmio:0": ("package-0", 1.0),
}


@dataclass
class RaplEmulator(FolderEmulator):
    """Files in a temporary folder."""

    name: ClassVar[str] = "rapl"
    meter_kind: ClassVar[str] = "rapl"
    summary: ClassVar[str] = "a powercap tree in a temporary folder"
    faults: ClassVar[Mapping[str, str]] = {
        "wrap": "the counters wrap after a second",
        "permission": "the counters may not be read",
        "absent": "an empty tree, as in most virtual machines",
        "removed": "the module is unloaded in the middle",
        "garbage": "a counter that is not a number",
        "garbage-later": "the same, but only in the middle",
        "no-range": "the range of the counter is missing",
        "zero-range": "the range of the counter is 0",
        "frozen": "the counters stand still from the beginning",
        "frozen-later": "the counters stand still in the middle",
        "reset": "the counters begin again at 0",
    }
    update_s: ClassVar[float] = 0.001

    fault_s: float = field(default=1.0, kw_only=True)

    def start(self) -> None:
        """Write the tree."""
        self.make_folder()
        if self.fault != "absent":
            for folder, (name, _) in _SHARES.items():
                (self.root / folder).mkdir()
                (self.root / folder / "name").write_text(f"{name}\n")
                range_uj = 0 if self.fault == "zero-range" else _RANGE_UJ
                if self.fault != "no-range":
                    (self.root / folder / "max_energy_range_uj").write_text(f"{range_uj}\n")
        self.run()

    def options(self) -> dict[str, Any]:
        """The tree's place, and a clock."""
        options: dict[str, Any] = {"root": self.root, "clock": self.clock()}
        if self.fault == "permission":
            options["read_text"] = _forbidden
        return options

    def exact_j(self, begin_s: float, end_s: float) -> float:
        """Of both packages."""
        return 1.5 * self.script.energy_j(begin_s, end_s)

    def hint(self) -> str:
        """The tree's place."""
        return f"grsn-edge meter read rapl --set root={self.root}"

    def advance(self, now_s: float) -> None:
        """Renew the counters."""
        after = now_s >= self.fault_s
        if self.fault == "absent" or self._folder is None:
            return
        for folder, (_, share) in _SHARES.items():
            file = self.root / folder / "energy_uj"
            if self.fault == "removed" and after:
                file.unlink(missing_ok=True)
                continue
            new = file.with_suffix(".new")
            new.write_text(self._counter(share, now_s, after) + "\n")
            os.replace(new, file)
            if self.fault == "permission":
                file.chmod(0)

    def _counter(self, share: float, now_s: float, after: bool) -> str:
        first = 1_000_000_000
        if self.fault == "wrap":
            first = _RANGE_UJ - round(share * self.script.energy_j(0, self.fault_s) * 1e6)
        if self.fault == "garbage" or (self.fault == "garbage-later" and after):
            return "12e3x"
        if self.fault == "frozen":
            now_s = 0.0
        if self.fault == "frozen-later":
            now_s = min(now_s, self.fault_s)
        if self.fault == "reset" and after:
            first = -round(share * self.script.energy_j(0, self.fault_s) * 1e6)
        energy_uj = round(share * self.script.energy_j(0, now_s) * 1e6)
        return str((first + energy_uj) % (_RANGE_UJ + 1))


def _forbidden(path: Path) -> str:
    if path.name == "energy_uj":
        raise PermissionError(13, "Permission denied", str(path))
    return path.read_text().strip()
