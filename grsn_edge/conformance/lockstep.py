"""Backends side by side: every output and every state compared with ``==`` at every step."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from grsn_edge.backends import Runner, backend
from grsn_edge.program import IntArray, Program

__all__ = ["Course", "Difference", "Report", "compare", "trajectories"]

Course = Iterable[tuple["dict[str, IntArray] | None", "dict[str, IntArray]"]]
"""For each step a state to start afresh from (or None to go on), and the inputs, by name."""

_RESTART = 64  # steps between two fresh states, so that extremes are seen often


@dataclass(frozen=True, slots=True)
class Difference:
    """The first integer in which a backend left the reference."""

    backend: str
    step: int
    stream: int
    value: str
    element: int
    expected: int
    found: int

    def __str__(self) -> str:
        return (
            f"{self.backend}: step {self.step}, stream {self.stream}: {self.value}[{self.element}] "
            f"is {self.found}, the reference has {self.expected}"
        )


@dataclass(frozen=True, slots=True)
class Report:
    """The outcome of one comparison.

    ``steps`` counts steps of single streams; ``hashes`` holds one trajectory hash per backend
    (SHA-256 of every output and state of every step as little-endian int32, first 16 digits).
    """

    steps: int
    hashes: Mapping[str, str]
    difference: Difference | None

    @property
    def equal(self) -> bool:
        """Whether every backend gave the same integers throughout."""
        return self.difference is None


def compare(
    program: Program,
    names: Sequence[str],
    *,
    steps: int,
    streams: int = 16,
    seed: int = 0,
    course: Course | None = None,
) -> Report:
    """Run ``program`` on the named backends from random and extreme states and inputs.

    Args:
        program: what to run.
        names: backends; the first is the reference.
        steps: steps in all; each of ``streams`` parallel trajectories gets its share.
        streams: parallel trajectories.
        seed: of the inputs and states.
        course: states and inputs to follow instead; ``steps`` and ``seed`` are then not used.

    Raises:
        BackendError: a backend cannot run the program.
    """
    done = 0
    runners = {name: backend(name).load(program, batch=streams) for name in names}
    digests = {name: hashlib.sha256() for name in names}
    if course is None:
        course = trajectories(program, streams, -(-steps // streams), seed)
    try:
        for t, (state, inputs) in enumerate(course):
            difference = _advance(runners, digests, t, state, inputs)
            done += streams
            if difference:
                return Report(done, _hex(digests), difference)
    finally:
        for runner in runners.values():
            runner.close()
    return Report(done, _hex(digests), None)


def trajectories(
    program: Program, streams: int, rounds: int, seed: int
) -> Iterator[tuple[dict[str, IntArray] | None, dict[str, IntArray]]]:
    """For each step: a state to start afresh from (or None to go on), and the inputs."""
    rng = np.random.default_rng(seed)
    for t in range(rounds):
        state = None
        if t % _RESTART == 0:
            state = {
                s.name: _draw(rng, s.interval.lo, s.interval.hi, streams) for s in program.states
            }
        yield (
            state,
            {i.name: _draw(rng, i.interval.lo, i.interval.hi, streams) for i in program.inputs},
        )


def _draw(rng: np.random.Generator, lo: IntArray, hi: IntArray, streams: int) -> IntArray:
    """Half the streams uniform, a quarter at the ends of the range, a quarter near zero."""
    shape = (streams, lo.size)
    uniform = rng.integers(lo, hi, shape, endpoint=True)
    ends = np.where(rng.random(shape) < 0.5, lo, hi)
    near_zero = np.clip(rng.integers(-2, 3, shape), lo, hi)
    choice = rng.integers(0, 4, (streams, 1))
    return np.where(choice < 2, uniform, np.where(choice == 2, ends, near_zero))


def _advance(
    runners: Mapping[str, Runner],
    digests: Mapping[str, hashlib._Hash],
    t: int,
    state: Mapping[str, IntArray] | None,
    inputs: Mapping[str, IntArray],
) -> Difference | None:
    reference: dict[str, IntArray] | None = None
    for name, runner in runners.items():
        if state is not None:
            runner.set_state(state)
        values = runner.step(inputs) | runner.get_state()
        for value in sorted(values):
            digests[name].update(values[value].astype("<i4").tobytes())
        if reference is None:
            reference = values
            continue
        difference = _first_difference(name, t, reference, values)
        if difference:
            return difference
    return None


def _first_difference(
    name: str, t: int, expected: Mapping[str, IntArray], found: Mapping[str, IntArray]
) -> Difference | None:
    for value, want in expected.items():
        got = found[value]
        if not np.array_equal(want, got):
            stream, element = (int(i) for i in np.argwhere(want != got)[0])
            numbers = int(want[stream, element]), int(got[stream, element])
            return Difference(name, t, stream, value, element, *numbers)
    return None


def _hex(digests: Mapping[str, hashlib._Hash]) -> dict[str, str]:
    return {name: digest.hexdigest()[:16] for name, digest in digests.items()}
