"""One profiling run: rest, warm up, play, repeat in bursts, rest; all of it recorded.

The phases, and what each is for:

1. **rest**: the idle power, before;
2. **warm-up**: caches, clocks and the policy's state settle; nothing of it is counted;
3. **play**: ``steps`` steps in the source's world, at the sampling period; latency, pace, return;
4. **bursts**: windows of nothing but steps, where single ones are too short for the meter;
5. **rest**: the idle power, after.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from grsn_edge.errors import MeterFault, UsageError
from grsn_edge.profiling.energy import CAREFUL, Energy, Idle, Rules, Window, energy_per_step
from grsn_edge.profiling.ledger import Span
from grsn_edge.profiling.recorder import Recorded, Recorder
from grsn_edge.profiling.session import SessionWriter, StepRow
from grsn_edge.profiling.sources import Source
from grsn_edge.profiling.targets import Target

__all__ = ["Plan", "Played", "Run", "WindowMode", "run"]

FloatArray = npt.NDArray[np.float32]
WindowMode = Literal["auto", "gpio", "link", "burst"]

_LEAD_S = 0.05  # of a burst, outside its window: an error of the clocks then moves steps for steps
_BURST_ROWS = 256  # observations that bursts go through


@dataclass(frozen=True, slots=True)
class Plan:
    """How a run goes.

    Args:
        steps: played and counted.
        warm_up: played before, and not counted.
        period_s: sampling period; None: as fast as it goes.
        windows: what marks the steps for the meter: ``gpio``, the pin that is high during each;
            ``link``, the host's clock around each; ``burst``, windows of many. ``auto`` is ``gpio``
            where marks are seen during the warm-up, else ``burst``.
        window_s, window_count: of bursts.
        idle_s: of each rest.
        mark_bit: digital input of the meter that the pin is wired to.
        rules: what makes an energy invalid.
    """

    steps: int = 1000
    warm_up: int = 100
    period_s: float | None = None
    windows: WindowMode = "auto"
    window_s: float = 1.0
    window_count: int = 10
    idle_s: float = 1.0
    mark_bit: int = 0
    rules: Rules = CAREFUL

    def __post_init__(self) -> None:
        if self.steps < 2 or self.warm_up < 0:
            raise UsageError("a run plays at least two steps, and a warm-up is not negative")
        if self.period_s is not None and not self.period_s > 0:
            raise UsageError(f"a sampling period is positive, not {self.period_s} s")
        if not self.window_s > 0 or self.window_count < 1 or self.idle_s < 0:
            raise UsageError("windows last longer than 0 s; a rest is not negative")
        if self.windows not in ("auto", "gpio", "link", "burst"):
            raise UsageError(f"windows are auto, gpio, link or burst, not '{self.windows}'")


@dataclass
class Played:
    """What was played, step by step; one element per counted step in every list.

    ``returns`` holds one number per episode that ended, and is empty without rewards.
    """

    rows: list[StepRow] = field(default_factory=list)
    observations: list[FloatArray] = field(default_factory=list)
    actions: list[Any] = field(default_factory=list)
    returns: list[float] = field(default_factory=list)
    reward: float = 0.0

    @property
    def begin_s(self) -> npt.NDArray[np.float64]:
        """Beginnings, ``(n,)``, on the host's clock since the session began."""
        return np.array([row.begin_s for row in self.rows])

    @property
    def end_s(self) -> npt.NDArray[np.float64]:
        """Ends, likewise."""
        return np.array([row.end_s for row in self.rows])

    def costs(self, unit: str) -> npt.NDArray[np.float64] | None:
        """What each step took by the device's own counter, ``(n,)`` in ``unit``: a target's
        ``s`` (of counted nanoseconds), ``cycles`` or ``instructions``; None where it has none."""
        counts = [row.cost for row in self.rows if row.cost is not None]
        if not counts or len(counts) != len(self.rows):
            return None
        return np.asarray(counts, np.float64) * (1e-9 if unit == "s" else 1.0)


@dataclass(frozen=True, eq=False)
class Run:
    """A finished run, as it was recorded.

    Args:
        plan: as it was carried out: ``windows`` is never ``auto`` here where there is a meter.
        played: the counted steps.
        recorded: by the meter; None without one.
        energy: None without a meter.
        windows: of which the energy is the summary; empty without a meter.
        gpio_s: durations of the marks, ``(n,)``, where they were used.
        origin_s: the host's clock where the times of ``played`` begin.
        interrupted: whether it was ended by Ctrl-C; what was played until then is here.
    """

    plan: Plan
    played: Played
    recorded: Recorded | None
    energy: Energy | None
    windows: tuple[Window, ...]
    gpio_s: npt.NDArray[np.float64] | None
    origin_s: float
    interrupted: bool = False


class _World:
    """The source and the target together: plays steps, one after the other."""

    def __init__(self, target: Target, source: Source, origin_s: float) -> None:
        self.target, self.source, self.origin_s = target, source, origin_s
        self.episode = 0
        self._return: float | None = None
        self._restart()

    def _restart(self) -> None:
        self.target.reset()
        self.observation = self.source.begin()

    def step(self, number: int, release_s: float, into: Played | None) -> StepRow:
        """Play one step, released at ``release_s`` on the host's clock."""
        observation, target = self.observation, self.target
        begin = time.perf_counter()
        action = target.step(observation)
        end = time.perf_counter()
        turn = self.source.turn(action)
        row = StepRow(
            number,
            self.episode,
            release_s - self.origin_s,
            begin - self.origin_s,
            end - self.origin_s,
            target.cost,
            turn.reward,
            tuple(np.atleast_1d(action).tolist()),
            tuple(np.asarray(observation).tolist()),
        )
        if into is not None:
            into.rows.append(row)
            into.observations.append(np.array(observation, np.float32))
            into.actions.append(action)
        self._reward(turn.reward, turn.over, into)
        self.observation = turn.observation
        if turn.over:
            self.episode += 1
            self._restart()
        return row

    def _reward(self, reward: float | None, over: bool, into: Played | None) -> None:
        if reward is not None:
            self._return = (self._return or 0.0) + reward
            if into is not None:
                into.reward += reward
        if over:
            if into is not None and self._return is not None:
                into.returns.append(self._return)
            self._return = None

    def fresh(self) -> None:
        """Begin an episode, so that counted returns are of whole episodes."""
        self.episode += 1
        self._return = None
        self._restart()


def run(
    target: Target,
    source: Source,
    plan: Plan,
    *,
    writer: SessionWriter | None = None,
    recorder: Recorder | None = None,
    voltage_v: float = 0.0,
    watch: Callable[[str, int, StepRow | None], None] | None = None,
) -> Run:
    """Carry out a plan.

    Args:
        target: what steps.
        source: where the observations come from.
        plan: how.
        writer: gets every counted step.
        recorder: entered; or None for a run without a meter.
        voltage_v: of the measured supply, for bounds that are stated as a current.
        watch: called with the phase, the steps done in it, and the row, as they come.

    Raises:
        DeviceError, ObservationError: of the target.  A fault of the meter is no error: it is in
            the result, and makes its figures invalid.
    """
    look = watch or (lambda phase, done, row: None)
    world = _World(target, source, time.perf_counter())
    energies = None if recorder is None else _Energies(recorder, plan)
    if energies is not None:
        look("rest", 0, None)
        energies.rest(plan.idle_s)
    _pace(world, plan.warm_up, plan.period_s, lambda i, row: look("warm-up", i, row), None)
    if energies is not None:
        energies.ready(plan.warm_up)
    world.fresh()
    played, interrupted = Played(), False

    def counted(i: int, row: StepRow) -> None:
        if writer is not None:
            writer.step(row)
        look("play", i, row)

    try:
        _pace(world, plan.steps, plan.period_s, counted, played)
        if energies is not None:
            energies.windows(world, played, look)
            look("rest", 0, None)
            energies.rest(plan.idle_s)
    except KeyboardInterrupt:
        interrupted = True
    if energies is None or recorder is None:
        return Run(plan, played, None, None, (), None, world.origin_s, interrupted)
    recorder.finish()
    energy = energies.result(played, voltage_v)
    carried = replace(plan, windows=energies.mode)
    return Run(
        carried,
        played,
        recorder.recorded(),
        energy,
        energies.seen,
        energies.gpio_s,
        world.origin_s,
        interrupted,
    )


def stream(
    target: Target,
    source: Source,
    done: Callable[[int, StepRow], None],
    *,
    period_s: float | None = None,
    steps: int | None = None,
) -> None:
    """Play without keeping anything: ``done(i, row)`` after each step, for ever or ``steps`` times.

    A step that takes longer than its period skips the periods it ran into.
    """
    _pace(_World(target, source, time.perf_counter()), steps, period_s, done, None)


def play_episode(target: Target, source: Source) -> Played:
    """One whole episode, as fast as it goes."""
    world, played = _World(target, source, time.perf_counter()), Played()
    while world.episode == 0:
        world.step(len(played.rows), time.perf_counter(), played)
    return played


def _pace(
    world: _World,
    steps: int | None,
    period_s: float | None,
    done: Callable[[int, StepRow], None],
    into: Played | None,
) -> None:
    release = time.perf_counter()
    for i in itertools.count() if steps is None else range(steps):
        now = time.perf_counter()
        if period_s is None:
            release = now
        elif now < release:
            time.sleep(release - now)
        else:
            release += period_s * int((now - release) / period_s)
        done(i, world.step(i, release, into))
        if period_s is not None:
            release += period_s


class _Energies:
    """The meter's side of a run; a fault of the meter ends that, not the run."""

    def __init__(self, recorder: Recorder, plan: Plan) -> None:
        self._recorder, self._plan = recorder, plan
        self.mode: WindowMode = plan.windows
        self.gpio_s: npt.NDArray[np.float64] | None = None
        self._rests: list[Span] = []
        self._windows: list[Window] = []
        self._against: list[str] = []

    def rest(self, seconds: float) -> None:
        """Let the device rest, and keep its power."""
        begin = time.perf_counter()
        time.sleep(seconds)
        if seconds > 0:
            self._try(lambda: self._rests.append(self._between(begin, time.perf_counter())))

    def ready(self, warm_up: int) -> None:
        """After the warm-up: choose what marks the steps, and begin with an empty record."""
        self._try(lambda: self._recorder.span_to(time.perf_counter()))
        marks = len(self._recorder.pulses())
        if self.mode == "auto":
            self.mode = "gpio" if marks >= max(1, warm_up // 2) else "burst"
        self._recorder.begin_close_up()

    def windows(
        self, world: _World, played: Played, look: Callable[[str, int, StepRow | None], None]
    ) -> None:
        """Collect the windows of this run's mode."""
        if self.mode == "gpio":
            self._try(lambda: self._marked(played))
        elif self.mode == "link":
            self._try(lambda: self._linked(world, played))
        else:
            observations = np.stack(played.observations[:_BURST_ROWS])
            for i in range(self._plan.window_count):
                look("bursts", i, None)
                self._try(lambda: self._burst(world.target, observations))

    @property
    def seen(self) -> tuple[Window, ...]:
        """The windows that were collected."""
        return tuple(self._windows)

    def result(self, played: Played, voltage_v: float) -> Energy:
        """Judged by the plan's rules, the meter's faults and its warnings."""
        recorder = self._recorder
        idle = Idle(self._rests[0], *self._rests[1:2]) if self._rests else None
        found = energy_per_step(
            self._windows,
            idle=idle,
            accuracy=recorder.info.accuracy,
            voltage_v=voltage_v,
            rules=self._plan.rules,
            modelled=recorder.info.modelled,
        )
        voiding = [w.text for w in recorder.recorded().warnings if w.voids]
        return found.marked(*dict.fromkeys([*self._against, *voiding]))

    def _marked(self, played: Played) -> None:
        self._recorder.span_to(time.perf_counter())
        pulses, steps = self._recorder.pulses(), len(played.rows)
        if len(pulses) != steps:
            self._against.append(
                f"{len(pulses)} marks were seen for {steps} steps; check the wiring of D"
                f"{self._plan.mark_bit}"
            )
            return
        self.gpio_s = np.array([pulse.duration_s for pulse in pulses])
        self._windows += [Window(pulse, 1) for pulse in pulses]

    def _linked(self, world: _World, played: Played) -> None:
        for row in played.rows:
            begin, end = world.origin_s + row.begin_s, world.origin_s + row.end_s
            self._windows.append(Window(self._between(begin, end), 1))

    def _burst(self, target: Target, observations: FloatArray) -> None:
        target.burst(observations, time.perf_counter() + _LEAD_S)
        begin = time.perf_counter()
        steps = target.burst(observations, begin + self._plan.window_s)
        end = time.perf_counter()
        target.burst(observations, time.perf_counter() + _LEAD_S)
        self._windows.append(Window(self._between(begin, end), steps))

    def _between(self, begin_s: float, end_s: float) -> Span:
        """Two moments of the host's clock, on the meter's."""
        recorder = self._recorder
        recorder.span_to(end_s)
        return recorder.span(recorder.meter_time(begin_s), recorder.meter_time(end_s))

    def _try(self, act: Callable[[], object]) -> None:
        try:
            act()
        except MeterFault as fault:
            self._against.append(str(fault))
