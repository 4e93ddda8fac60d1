"""Intel and AMD RAPL: the processor's own energy counters, through Linux' powercap tree.

Sources: Linux ``Documentation/power/powercap/powercap.rst``; counters are readable by root only
since the PLATYPUS attack (2020); intervals under 50 ms carry more than 5 % error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from grsn_edge.errors import MeterFault, MeterUnavailable, UsageError
from grsn_edge.profiling.meters.base import Found, MeterInfo, MeterWarning, option
from grsn_edge.profiling.meters.polled import PolledMeter, Reading

__all__ = ["RaplMeter"]

_ROOT = Path("/sys/class/powercap")
_SHORT_S = 0.05
_MAX_W = 1000.0
"""No domain of one socket draws more: what would need more is a counter that was reset."""


@dataclass(frozen=True, slots=True)
class _Domain:
    name: str
    energy: Path
    range_uj: int


def _read_text(path: Path) -> str:
    return path.read_text(encoding="ascii", errors="replace").strip()


@dataclass
class RaplMeter(PolledMeter):
    """The sum of the chosen domains over all sockets."""

    kind: ClassVar[str] = "rapl"
    summary: ClassVar[str] = "Intel/AMD RAPL, the host processor's energy counters"

    period_s: float = option(0.1, "time between two readings; below 0.05 s errors exceed 5 %")
    domain: str = option("package", "package, core, uncore, dram or psys; package holds core")
    root: str = option("/sys/class/powercap", "the powercap tree")
    read_text: Callable[[Path], str] = field(default=_read_text, kw_only=True)

    _domains: tuple[_Domain, ...] = field(default=(), init=False)
    _last_uj: dict[str, int] = field(default_factory=dict, init=False)
    _last_s: float = field(default=0.0, init=False)
    _total_j: float = field(default=0.0, init=False)
    _moved_s: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.domain not in ("package", "core", "uncore", "dram", "psys"):
            raise UsageError(f"RAPL: no domain {self.domain!a}; package, core, uncore, dram, psys")

    @classmethod
    def discover(cls) -> tuple[Found, ...]:
        """The tree of this machine."""
        if not any(_ROOT.glob("intel-rapl:*")):
            return ()
        return (Found({}, f"RAPL counters under {_ROOT}"),)

    def _open(self) -> MeterInfo:
        self._domains = self._find()
        for domain in self._domains:
            self._counter(domain)
        warnings: tuple[MeterWarning, ...] = ()
        if self.period_s < _SHORT_S:
            text = "RAPL counters are renewed about every ms, not evenly: use at least 50 ms"
            warnings = (MeterWarning("resolution", text),)
        return MeterInfo(
            kind=self.kind,
            serial="",
            quantity="energy",
            sample_rate_hz=1.0 / self.period_s,
            channels=tuple(d.name for d in self._domains),
            digital_inputs=0,
            calibration="not applicable",
            accuracy=None,
            time_stamps="host clock in the middle of reading the counters",
            details={d.name: str(d.energy) for d in self._domains},
            warnings=warnings,
        )

    def _find(self) -> tuple[_Domain, ...]:
        """One counter per socket; the copies under ``intel-rapl-mmio`` would count twice."""
        found = []
        for folder in sorted(Path(self.root).glob("intel-rapl:*")):
            name = self._text(folder / "name")
            if name == self.domain or name.split("-")[0] == self.domain:
                label = f"{folder.name.removeprefix('intel-rapl:')} {name}"
                found.append(_Domain(label, folder / "energy_uj", self._range(folder)))
        if not found:
            raise MeterUnavailable(
                f"RAPL: no domain '{self.domain}' under {self.root}; virtual machines and many "
                "ARM boards have none (on Linux: modprobe intel_rapl_msr)"
            )
        return tuple(found)

    def _range(self, folder: Path) -> int:
        text = self._text(folder / "max_energy_range_uj")
        if not text.isdigit() or int(text) == 0:
            raise MeterFault(f"RAPL: {folder}/max_energy_range_uj says {text!a}, not a number")
        return int(text)

    def _text(self, path: Path) -> str:
        try:
            return self.read_text(path)
        except PermissionError:
            raise MeterUnavailable(
                f"RAPL: no permission to read {path}; as root: chmod a+r {path} (the kernel "
                "closed it to users because it leaks what other programs do)"
            ) from None
        except OSError as error:
            raise MeterUnavailable(f"RAPL: {path} cannot be read: {error.strerror}") from None

    def _counter(self, domain: _Domain) -> int:
        text = self._text(domain.energy)
        if not text.isdigit():
            raise MeterFault(f"RAPL: {domain.energy} says {text[:40]!a}, not a number")
        return int(text)

    def _start(self) -> None:
        self._last_uj, self._total_j = {}, 0.0
        self._last_s = self._moved_s = self.clock.now()
        super()._start()

    def ask(self) -> Reading:
        """All counters, unwrapped; one that was reset leaves a hole."""
        try:
            counters = {d.name: self._counter(d) for d in self._domains}
        except MeterUnavailable as error:
            raise MeterFault(f"{error}; it was there before") from None
        now = self.clock.now()
        elapsed, self._last_s = now - self._last_s, now
        last, self._last_uj = self._last_uj, counters
        if not last:
            return Reading(energy_j=0.0)
        moved_uj = {
            d.name: (counters[d.name] - last[d.name]) % (d.range_uj + 1) for d in self._domains
        }
        warnings, valid = self._judge(moved_uj, elapsed, now)
        if valid:
            self._total_j += sum(moved_uj.values()) * 1e-6
        return Reading(energy_j=self._total_j, warnings=tuple(warnings), valid=valid)

    def _judge(
        self, moved_uj: dict[str, int], elapsed: float, now: float
    ) -> tuple[list[MeterWarning], bool]:
        warnings = []
        if any(moved_uj.values()):
            self._moved_s = now
        elif now - self._moved_s > 0.5:
            self._moved_s = now
            text = "the counters do not move: many virtual machines show counters that stand still"
            warnings.append(MeterWarning("stale", text, voids=True))
        shortest = min(d.range_uj for d in self._domains)
        if elapsed * _MAX_W * 1e6 / 2 > shortest:
            text = "so long between two readings that a counter may have wrapped more than once"
            warnings.append(MeterWarning("wrap", text, voids=True))
        valid = max(moved_uj.values()) <= max(elapsed, 1e-3) * _MAX_W * 1e6
        if not valid:
            text = "a counter jumped further than any processor could draw: it was reset (sleep?)"
            warnings.append(MeterWarning("damaged", text, voids=True))
        return warnings, valid
