"""The policy as it will be deployed, trainable: exact integers forward, straight-through back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from grsn_edge.backends.straight_through import round_half_even
from grsn_edge.backends.torch_backend import TorchProgram
from grsn_edge.neurons import Plan, Signal
from grsn_edge.neurons.base import Array
from grsn_edge.neurons.quantise import power_of_two
from grsn_edge.policy import OBSERVATION, Network, assemble_cells
from grsn_edge.program import IntArray
from grsn_edge.training.actor import ActorOutput, States

__all__ = ["QuantisedActor", "TorchQuantiser"]

Params = Sequence[Mapping[str, Tensor]]


class TorchQuantiser:
    """Tensors to integers held in float64; gradients pass straight through the rounding."""

    def round(self, x: Array, lo: int, hi: int) -> Array:
        """Round half to even, then clamp to ``[lo, hi]``."""
        return round_half_even(x, lo, hi)

    def power_of_two(self, x: Array, lo: int, hi: int) -> Array:
        """The sign of x times the nearest power of two, its exponent in ``[lo, hi]``."""
        return power_of_two(x, lo, hi)

    def sigmoid(self, x: Array) -> Array:
        """Logistic function."""
        return x.sigmoid()

    def exp(self, x: Array) -> Array:
        """Exponential function."""
        return x.exp()

    def cos(self, x: Array) -> Array:
        """Cosine."""
        return x.cos()

    def sin(self, x: Array) -> Array:
        """Sine."""
        return x.sin()

    def constant(self, value: npt.NDArray[np.float64], *, like: Array) -> Array:
        """A float64 tensor beside ``like``."""
        return torch.as_tensor(value, dtype=torch.float64, device=like.device)


class QuantisedActor(nn.Module):
    """Runs a network's step program on tensors; the float parameters stay the trained ones.

    Same calls as :class:`~grsn_edge.training.actor.Actor`; its states are integers in float64.

    Args:
        network: the cells.
        params: float parameters of each cell; copied.
        plans: scales and shifts of each cell, fixed from now on.
        signal: what an observation code means in normalised units.
    """

    def __init__(
        self, network: Network, params: Params, plans: Sequence[Plan], signal: Signal
    ) -> None:
        super().__init__()
        self.network = network
        self.plans = tuple(plans)
        self.signal = signal
        self.cells = nn.ModuleList(
            nn.ParameterDict({k: nn.Parameter(v.detach().clone()) for k, v in p.items()})
            for p in params
        )
        self._kept: tuple[tuple[int, ...], dict[str, Tensor]] | None = None
        self._program = TorchProgram(
            assemble_cells(network, self.plans, self.integers(), signal.hi), self._surrogates()
        )

    def initial_state(self, batch: int) -> States:
        """States after a reset, ``(batch, n)`` by name, for each cell."""
        initial = self._program.program.initial_state((batch,))
        return [
            {name: torch.from_numpy(initial[f"{scope}.{name}"]).double() for name in names}
            for scope, names in zip(self.network.scopes, self._state_names(), strict=True)
        ]

    def forward(self, x: Tensor, keep: Tensor, state: States) -> ActorOutput:
        """Run ``T`` steps.

        Args:
            x: normalised observations ``(T, batch, n)``.
            keep: ``(T, batch, 1)``, 0 where an episode begins.
            state: as :meth:`initial_state` gives it, before the first step.
        """
        constants = self._constants()
        codes = round_half_even(x.double() / self.signal.scale, self.signal.lo, self.signal.hi)
        program, keep = self._program.program, keep.double()
        now = self._flat(state)
        outputs: dict[str, list[Tensor]] = {scope: [] for scope in self.network.scopes}
        for t in range(x.shape[0]):
            given = {name: value * keep[t] for name, value in now.items()}
            values = self._program({OBSERVATION: codes[t], **given}, constants)
            now = {name: values[node] for name, node in program.nexts.items()}
            for scope, node in program.outputs.items():
                outputs[scope].append(values[node])
        return self._output(outputs, now)

    def integers(self) -> list[dict[str, IntArray]]:
        """The integer constants of each cell at this moment, int64."""
        with torch.no_grad():
            tables = [self._cell_integers(i) for i in range(len(self.cells))]
        return [{k: v.cpu().numpy().astype(np.int64) for k, v in t.items()} for t in tables]

    def _cell_integers(self, i: int) -> dict[str, Tensor]:
        trained = cast("nn.ParameterDict", self.cells[i])
        params = {name: p.double() for name, p in trained.items()}
        return self.network.cells[i].integers(params, self.plans[i], TorchQuantiser())

    def _constants(self) -> dict[str, Tensor]:
        """All integers of the program; kept between steps that learn nothing."""
        if torch.is_grad_enabled():
            return self._fresh_constants()
        versions = tuple(p._version for p in self.parameters())
        if self._kept is None or self._kept[0] != versions:
            self._kept = versions, self._fresh_constants()
        return self._kept[1]

    def _fresh_constants(self) -> dict[str, Tensor]:
        return {
            f"{scope}.{key}": value
            for i, scope in enumerate(self.network.scopes)
            for key, value in self._cell_integers(i).items()
        }

    def _surrogates(self) -> dict[str, npt.NDArray[np.float64]]:
        return {
            f"{scope}.{name}": unit
            for (scope, cell), plan in zip(self.network, self.plans, strict=True)
            for name, unit in cell.spike_scales(plan).items()
        }

    def _state_names(self) -> list[list[str]]:
        names = [node.name for node in self._program.program.states]
        return [
            [name[len(scope) + 1 :] for name in names if name.startswith(f"{scope}.")]
            for scope in self.network.scopes
        ]

    def _flat(self, state: States) -> dict[str, Tensor]:
        return {
            f"{scope}.{name}": value
            for scope, values in zip(self.network.scopes, state, strict=True)
            for name, value in values.items()
        }

    def _output(
        self, outputs: Mapping[str, list[Tensor]], now: Mapping[str, Tensor]
    ) -> ActorOutput:
        stacked = {scope: torch.stack(values) for scope, values in outputs.items()}
        unit = self.network.cells[-1].output(self.plans[-1]).scale
        values = (stacked[self.network.scopes[-1]] * unit).float()
        activity = [
            stacked[scope].mean() * cell.output(plan).scale
            for (scope, cell), plan in zip(self.network, self.plans, strict=True)
            if cell.spikes
        ]
        state = [
            {name: now[f"{scope}.{name}"] for name in names}
            for scope, names in zip(self.network.scopes, self._state_names(), strict=True)
        ]
        return ActorOutput(values, activity, state)
