"""What a stretch of samples comes to: energy, charge, losses, warnings; in constant memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from grsn_edge.profiling.meters.base import Block, MeterInfo, MeterWarning, merge

__all__ = ["Tally"]

MOST_LOST = 1e-3
"""Above this share of lost samples figures are void: the limit of MLPerf Tiny's power rules."""


@dataclass
class Tally:
    """Adds blocks up.

    Args:
        info: of the meter.
    """

    info: MeterInfo
    samples: int = 0
    lost: int = 0
    energy_j: float = 0.0
    charge_c: float | None = 0.0
    sampled_s: float = 0.0
    begin_s: float | None = None
    end_s: float = 0.0
    warnings: tuple[MeterWarning, ...] = field(default=())

    def __post_init__(self) -> None:
        self.warnings = merge(self.info.warnings)

    def add(self, block: Block) -> None:
        """One block more."""
        self.samples += len(block)
        self.lost += block.lost
        self.warnings = merge((*self.warnings, *block.warnings))
        if not len(block):
            return
        self.energy_j += block.energy_j
        self.sampled_s += float(block.duration_s.sum())
        if self.begin_s is None:
            self.begin_s = float(block.time_s[0])
        self.end_s = block.end_s
        if block.current_a is None or self.charge_c is None:
            self.charge_c = None
        else:
            self.charge_c += float(block.current_a @ block.duration_s)

    @property
    def mean_power_w(self) -> float:
        """Over the time that was sampled; holes are left out."""
        return self.energy_j / self.sampled_s if self.sampled_s else 0.0

    @property
    def lost_share(self) -> float:
        """Of all samples that should have come."""
        return self.lost / (self.samples + self.lost) if self.samples + self.lost else 0.0

    @property
    def bound_j(self) -> float | None:
        """By how much the meter itself may be wrong; None where nobody says."""
        if self.info.accuracy is None:
            return None
        volts = self.energy_j / self.charge_c if self.charge_c else 0.0
        return self.info.accuracy.energy_bound_j(self.energy_j, self.sampled_s, volts)

    @property
    def void(self) -> tuple[str, ...]:
        """Why the figures must not be used; empty where they may."""
        reasons = [w.text for w in self.warnings if w.voids]
        if self.lost_share > MOST_LOST:
            reasons.append(f"{self.lost_share:.2%} of the samples were lost, more than 0.1 %")
        if not self.samples:
            reasons.append("no samples came")
        return tuple(reasons)
