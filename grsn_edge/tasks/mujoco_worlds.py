"""MuJoCo's walkers side by side in this process: gymnasium's v5 environments, to the bit.

Each world has an ``MjData`` of its own, and threads step them: MuJoCo gives up Python's lock while
it computes.  ``mujoco.rollout`` would step them too, but it returns neither a solver's warm start
nor contact forces: its second call would begin elsewhere in the last bits.  Rewards, terminations
and observations, which gymnasium computes per robot in Python, are arrays here.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from grsn_edge.policy.encoder import FloatArray
from grsn_edge.tasks.base import BoolArray, DoubleArray, Worlds
from grsn_edge.tasks.pool import workers
from grsn_edge.tasks.simulator import Simulator

__all__ = ["MujocoWorlds", "Rules", "Walker"]


@dataclass(frozen=True)
class Rules:
    """What gymnasium's v5 environment of a robot adds to MuJoCo.

    Args:
        control_cost: of the squared action.
        healthy: from positions ``(batch, nq)`` and velocities ``(batch, nv)`` to whether robots
            live, ``(batch,)``: 1 for each such step, and the end of the others; None: all live,
            and nothing is given for it.
        hidden: leading positions that are not observed.
        fastest: bound of observed velocities, or None.
        noise: half width of the starting positions; velocities are as wide, or normal.
        normal: whether starting velocities are normal.
        contact_cost: of the squared contact forces, clipped to ±1, which are then observed too.
    """

    control_cost: float
    healthy: Callable[[DoubleArray, DoubleArray], BoolArray] | None
    noise: float
    hidden: int = 1
    fastest: float | None = None
    normal: bool = False
    contact_cost: float | None = None


@dataclass(frozen=True)
class Walker(Simulator):
    """A gymnasium environment of MuJoCo whose rules are known.

    Args:
        rules: those of ``environment``.
    """

    rules: Rules | None = None

    def open(self, batch: int, max_steps: int) -> Worlds:
        """Worlds in this process, on as many threads as there are usable cores."""
        if self.rules is None:
            return super().open(batch, max_steps)
        return MujocoWorlds(self, self.rules, batch, max_steps)


class MujocoWorlds(Worlds):
    """Episodes in MuJoCo, equal to gymnasium's of the same seeds and actions.

    A snapshot is all that a next step depends on: positions, velocities, the solver's warm start.

    An ended episode, or one that has come to ``max_steps``, rests: it is simulated no further.
    """

    def __init__(self, walker: Walker, rules: Rules, batch: int, max_steps: int) -> None:
        mujoco = importlib.import_module("mujoco")

        self.rules = rules
        self.max_steps = max_steps
        self.seeds = np.zeros(batch, np.int64)
        self.taken = np.zeros(batch, np.int64)
        self.over = np.zeros(batch, bool)
        env = walker.single().unwrapped
        self._model, self._frames, self._dt = env.model, env.frame_skip, env.dt
        self._rest = env.init_qpos.copy(), env.init_qvel.copy()
        env.close()
        self._mujoco = mujoco
        self._data = [mujoco.MjData(self._model) for _ in range(batch)]
        self._views = [_views(data) for data in self._data]
        self.position = np.zeros((batch, self._model.nq))
        self.velocity = np.zeros((batch, self._model.nv))
        self.place = np.zeros(batch)
        forces = 0 if rules.contact_cost is None else self._model.nbody
        self.contact = np.zeros((batch, forces, 6))
        self._threads = min(workers(), batch)
        self._pool = ThreadPoolExecutor(self._threads) if self._threads > 1 else None

    def start(self, rng: np.random.Generator, chosen: BoolArray) -> None:
        rows = np.flatnonzero(chosen)
        self.seeds[rows] = rng.integers(2**31, size=len(rows))
        self.taken[rows], self.over[rows] = 0, False
        for row in rows:
            self._begin(int(row))

    def advance(self, action: npt.NDArray[Any]) -> tuple[DoubleArray, BoolArray, BoolArray]:
        moves = ~self.over & (self.taken < self.max_steps)
        rows = np.flatnonzero(moves)
        control = np.clip(np.asarray(action, np.float32), np.float32(-1.0), np.float32(1.0))
        before = self.place.copy()
        self._step(rows, control)
        self.taken[rows] += 1
        reward = self._reward((self.place - before) / self._dt, control)
        self.over |= moves & ~self._healthy()
        return np.where(moves, reward, 0.0), self.over.copy(), np.zeros(len(moves), bool)

    def full(self) -> FloatArray:
        fastest = self.rules.fastest
        velocity = self.velocity
        if fastest is not None:
            velocity = np.clip(velocity, -fastest, fastest)
        forces = np.clip(self.contact[:, 1:], -1.0, 1.0).reshape(len(velocity), -1)
        columns = (self.position[:, self.rules.hidden :], velocity, forces)
        return np.concatenate(columns, axis=1).astype(np.float32)

    def snapshot(self) -> dict[str, npt.NDArray[Any]]:
        kept = {name: getattr(self, name).copy() for name in _KEPT}
        return {**kept, "physics": np.stack([self._physics(data) for data in self._data])}

    def restore(self, snapshot: Mapping[str, npt.NDArray[Any]]) -> None:
        for name in _KEPT:
            present = getattr(self, name)
            setattr(self, name, snapshot[name].astype(present.dtype))
        whole = self._mujoco.mjtState.mjSTATE_INTEGRATION
        for data, physics in zip(self._data, snapshot["physics"], strict=True):
            self._mujoco.mj_setState(self._model, data, physics.astype(np.float64), whole)

    def close(self) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    # ---- one world -----------------------------------------------------------------------------

    def _begin(self, row: int) -> None:
        """As gymnasium's ``reset(seed=…)``: the same draws in the same order."""
        rng, noise, data = np.random.default_rng(self.seeds[row]), self.rules.noise, self._data[row]
        self._mujoco.mj_resetData(self._model, data)
        position, velocity = self._rest
        data.qpos[:] = position + rng.uniform(-noise, noise, len(position))
        if self.rules.normal:
            data.qvel[:] = velocity + noise * rng.standard_normal(len(velocity))
        else:
            data.qvel[:] = velocity + rng.uniform(-noise, noise, len(velocity))
        self._mujoco.mj_forward(self._model, data)
        self._read(row)

    def _step(self, rows: npt.NDArray[np.int64], control: FloatArray) -> None:
        if self._pool is None:
            self._step_some(rows, control)
            return
        parts = np.array_split(rows, self._threads)
        for done in [self._pool.submit(self._step_some, part, control) for part in parts]:
            done.result()

    def _step_some(self, rows: npt.NDArray[np.int64], control: FloatArray) -> None:
        model, frames, step = self._model, self._frames, self._mujoco.mj_step
        for row in rows.tolist():
            data = self._data[row]
            self._views[row].control[:] = control[row]
            step(model, data, nstep=frames)
            if self.rules.contact_cost is not None:
                self._mujoco.mj_rnePostConstraint(model, data)
            self._read(row)

    def _read(self, row: int) -> None:
        """What gymnasium reads after a step; an ant is where its torso's frame was computed."""
        view = self._views[row]
        self.position[row], self.velocity[row] = view.position, view.velocity
        self.place[row] = view.position[0]
        if self.rules.contact_cost is not None:
            self.contact[row], self.place[row] = view.contact, view.torso[0]

    def _physics(self, data: Any) -> DoubleArray:
        whole = self._mujoco.mjtState.mjSTATE_INTEGRATION
        state = np.zeros(self._mujoco.mj_stateSize(self._model, whole))
        self._mujoco.mj_getState(self._model, data, state, whole)
        return state

    # ---- all worlds ----------------------------------------------------------------------------

    def _healthy(self) -> BoolArray:
        if self.rules.healthy is None:
            return np.ones(len(self.over), bool)
        return self.rules.healthy(self.position, self.velocity)

    def _reward(self, speed: DoubleArray, control: FloatArray) -> DoubleArray:
        """Gymnasium's sums in its order and its precisions: the control's cost is in float32."""
        given = speed if self.rules.healthy is None else speed + self._healthy()
        cost = self.rules.control_cost * np.square(control).sum(axis=1)
        if self.rules.contact_cost is not None:
            forces = np.clip(self.contact, -1.0, 1.0).reshape(len(speed), -1)
            cost = cost + self.rules.contact_cost * np.square(forces).sum(axis=1)
        return np.asarray(given - cost, np.float64)


_KEPT = ("seeds", "taken", "over", "position", "velocity", "place", "contact")


@dataclass(frozen=True, slots=True)
class _Views:
    """MuJoCo's own memory as arrays: making them costs as much as reading them."""

    control: DoubleArray
    position: DoubleArray
    velocity: DoubleArray
    contact: DoubleArray
    torso: DoubleArray


def _views(data: Any) -> _Views:
    return _Views(data.ctrl, data.qpos, data.qvel, data.cfrc_ext, data.xpos[1])
