"""Recipes: everything that decides how a policy is trained, by task and kind of network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from grsn_edge.errors import UsageError
from grsn_edge.neurons import Cell, cell
from grsn_edge.neurons.coefficients import LeakyCell
from grsn_edge.policy import Network
from grsn_edge.tasks import Logged, Simulator, Task, task
from grsn_edge.training.budget import parse_budget
from grsn_edge.training.offpolicy import OffPolicy, check_algorithm, off_policy_values

__all__ = ["Recipe", "network_kinds", "quantised_network", "recipe"]


@dataclass(frozen=True)
class Recipe:
    """How to train one policy.  Budgets count environment steps, so that a seed decides all.

    Args:
        task: its name.
        network: the cells.
        goal: mean return that later phases must hold; None: what the first reached.
        gamma, gae: discount and λ of the advantages.
        reward_scale: multiplies rewards for the critic's sake.
        float_steps: budget of the first phase.
        quieten_steps: budget for lowering the firing rate, spent only with a ``spike_rate``, after
            neurons were taken out, and where a run goes on from another's parameters.
        tune_steps: budget for going on in exact integers.
        stop_at: mean return that ends the first phase early.
        spike_rate: mean spikes per neuron and step to come down to, or None.
        lr, quieten_lr, tune_lr: Adam's step sizes; each falls linearly to a tenth.
        envs, steps: episodes side by side, and steps between two updates (also the reach of
            back-propagation through time).
        epochs, minibatches: passes over each roll-out, and parts of it (over episodes, not time).
        clip, entropy, value, grad_norm: PPO's ratio clip, loss weights, and gradient clip.
        log_std: initial log standard deviation of continuous actions.
        evaluate_every: updates between evaluations, each of ``evaluate_episodes``.
        critic_width: of the critic's two layers.
        observation: storage of the observation codes, ``int8`` or ``int16``.
        teacher: path of a frozen policy to imitate in all phases; None learns from rewards.
        log: path of recorded steps to imitate in all phases, instead of a teacher.
        stop_agreement: share of steps in which the student does what it is taught, in evaluation,
            that ends the first phase early.
        algorithm: ``ppo``; or ``td3`` or ``sac`` (over choices, discrete SAC), which replay.
        off_policy: settings of the latter two.
        prune: share of each layer's neurons that is taken out after the first phase; or None.
        prune_to: neurons that each layer keeps then, instead; or None.
        budget: cost of a deployed step to meet, such as ``3000instr@m4``; or None.
    """

    task: str
    network: Network
    goal: float | None
    gamma: float
    reward_scale: float
    float_steps: int
    quieten_steps: int
    tune_steps: int
    stop_at: float | None = None
    spike_rate: float | None = None
    lr: float = 2e-3
    quieten_lr: float = 1e-3
    tune_lr: float = 5e-4
    envs: int = 512
    steps: int = 32
    epochs: int = 4
    minibatches: int = 4
    gae: float = 0.95
    clip: float = 0.2
    entropy: float = 0.003
    value: float = 0.5
    grad_norm: float = 0.5
    log_std: float = -0.5
    evaluate_every: int = 5
    evaluate_episodes: int = 100
    critic_width: int = 64
    observation: str = "int8"
    teacher: str | None = None
    log: str | None = None
    stop_agreement: float | None = None
    algorithm: str = "ppo"
    off_policy: OffPolicy | None = None
    prune: float | None = None
    prune_to: int | None = None
    budget: str | None = None

    def __post_init__(self) -> None:
        sizes = (self.float_steps, self.envs, self.steps, self.epochs, self.minibatches)
        if min(*sizes, self.evaluate_every, self.evaluate_episodes, self.critic_width) < 1:
            raise UsageError("the sizes and the first budget of a recipe are positive")
        if min(self.quieten_steps, self.tune_steps) < 0:
            raise UsageError("the budgets of a recipe are not negative")
        if self.envs % self.minibatches:
            raise UsageError(f"{self.envs} envs do not divide into {self.minibatches} minibatches")
        if self.spike_rate is not None and not 0.0 < self.spike_rate < 1.0:
            raise UsageError(f"a spike rate is between 0 and 1, not {self.spike_rate}")
        if self.teacher is not None and self.log is not None:
            raise UsageError("one learns from a teacher or from a log, not from both")
        if self.stop_agreement is not None and not 0.0 < self.stop_agreement <= 1.0:
            raise UsageError(f"an agreement is above 0 and at most 1, not {self.stop_agreement}")
        if self.budget is not None:
            parse_budget(self.budget)
        self._check_pruning()
        if self.algorithm != "ppo":
            (self.off_policy or OffPolicy()).check(self.envs, self.steps)

    def _check_pruning(self) -> None:
        if self.prune is not None and self.prune_to is not None:
            raise UsageError("a layer is pruned by a share or to a size, not both")
        if self.prune is not None and not 0.0 < self.prune < 1.0:
            raise UsageError(f"a share of neurons is between 0 and 1, not {self.prune:g}")
        if self.prune_to is not None and self.prune_to < 1:
            raise UsageError(f"a layer keeps at least 1 neuron, not {self.prune_to}")

    @property
    def steps_per_update(self) -> int:
        """Environment steps in one roll-out."""
        return self.envs * self.steps

    def config(self) -> dict[str, Any]:
        """The recipe as JSON values."""
        return {**asdict(self), "network": self.network.config()}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Recipe:
        """The recipe of :meth:`config`; raises :class:`UsageError` where it is not one."""
        try:
            replayed = config.get("off_policy")
            nested = {
                "network": Network.from_config(config["network"]),
                "off_policy": None if replayed is None else OffPolicy(**replayed),
            }
            return cls(**{**config, **nested})
        except (KeyError, TypeError) as error:
            raise UsageError(f"not the configuration of a recipe: {error!r}") from None


def recipe(task_name: str, kind: str = "grsn", **changes: Any) -> Recipe:
    """The recipe for a task and a kind of network, with changes.

    Args:
        task_name: such as ``cartpole-p``.
        kind: one of :func:`network_kinds`.
        changes: fields of :class:`Recipe`; or ``hidden``, the neurons of each layer; or
            ``updates``, the length of the first phase in updates, by which the other phases
            are lengthened or shortened too; or ``grsn``, options of the GRSN cells; or
            ``weights`` and ``coefficients``, as for :func:`quantised_network`.

    Raises:
        TaskError: unknown task.
        UsageError: unknown kind or field, or a value that cannot be.
    """
    found = task(task_name)
    if kind not in _NETWORKS:
        raise UsageError(f"no network '{kind}'; there are: {', '.join(network_kinds())}")
    for_task = _FOR_TASK.get(task_name.partition("?")[0], _otherwise(found))
    chosen = changes.get("algorithm", "ppo")
    check_algorithm(chosen, found, taught=bool(changes.get("teacher") or changes.get("log")))
    replayed = off_policy_values(chosen, found)
    values = {**for_task, **_for_network(kind, found), **replayed, **changes}
    updates = values.pop("updates", None)
    weights, coefficients = values.pop("weights", None), values.pop("coefficients", None)
    begun = values.pop("grsn", {})
    cells = _NETWORKS[kind](len(found.observations), values.pop("hidden"))
    cells = tuple(replace(c, **begun) if c.kind == "grsn" else c for c in cells)
    readout_kind = _READOUTS.get(kind, "readout")
    readout = cell(readout_kind, n_in=cells[-1].size, size=len(found.actions))
    network = Network((*cells, readout), found.decoder)
    network = quantised_network(network, weights, coefficients)
    try:
        made = Recipe(found.name, network, **values)
    except TypeError as error:
        raise UsageError(f"a recipe has no such field: {error}") from None
    return made if updates is None else _as_long_as(made, updates)


def quantised_network(
    network: Network, weights: int | None = None, coefficients: str | None = None
) -> Network:
    """The network with other integers; None leaves them.

    Args:
        network: of any cells.
        weights: bits of every synaptic weight, 8, 6 or 4.
        coefficients: leaks in ``q15``, or one power of two for each layer, ``pow2``.

    Raises:
        UsageError: not such a number, or no cell has a leak.
    """
    cells: list[Any] = list(network.cells)
    if weights is not None:
        cells = [replace(one, weight_bits=weights) for one in cells]
    if coefficients is not None:
        leaky = [isinstance(one, LeakyCell) for one in cells]
        if not any(leaky):
            kinds = ", ".join(one.kind for one in cells)
            raise UsageError(f"none of {kinds} has a leak that could be a power of two")
        cells = [
            replace(one, coefficients=coefficients) if leaks else one
            for one, leaks in zip(cells, leaky, strict=True)
        ]
    return Network(tuple(cells), network.decoder)


def _as_long_as(made: Recipe, updates: int) -> Recipe:
    """The recipe with this many updates in its first phase, and its other phases in proportion."""
    if updates < 1:
        raise UsageError(f"a run has at least 1 update, not {updates}")
    steps = updates * made.steps_per_update

    def scaled(budget: int) -> int:
        updates_then = -(-budget * steps // (made.float_steps * made.steps_per_update))
        return updates_then * made.steps_per_update

    return replace(
        made,
        float_steps=steps,
        quieten_steps=scaled(made.quieten_steps),
        tune_steps=scaled(made.tune_steps),
    )


def _otherwise(found: Task) -> Mapping[str, Any]:
    if isinstance(found.dynamics, Logged):
        return _LOGGED
    return _SIMULATED if isinstance(found.dynamics, Simulator) else _OTHERWISE


def _for_network(kind: str, found: Task) -> Mapping[str, Any]:
    """What a network wants; budgets, tuned on batched physics, are a simulator's own."""
    values = _FOR_NETWORK.get(kind, {})
    if not isinstance(found.dynamics, Simulator):
        return values
    return {name: value for name, value in values.items() if name != "float_steps"}


def network_kinds() -> tuple[str, ...]:
    """The kinds of networks that :func:`recipe` makes."""
    return tuple(_NETWORKS)


def _grsn(gates: str) -> Callable[[int, int], tuple[Cell, ...]]:
    return lambda n_in, hidden: (cell("grsn", n_in=n_in, size=hidden, gates=gates),)


def _one(kind: str, **options: Any) -> Callable[[int, int], tuple[Cell, ...]]:
    return lambda n_in, hidden: (cell(kind, n_in=n_in, size=hidden, **options),)


def _lif(n_in: int, hidden: int) -> tuple[Cell, ...]:
    """Two layers: without recurrence, one cannot tell velocities from positions."""
    return cell("lif", n_in=n_in, size=hidden), cell("lif", n_in=hidden, size=hidden)


def _lif_rate(n_in: int, hidden: int) -> tuple[Cell, ...]:
    """As :func:`_lif`, four neuron steps in each environment step."""
    below = cell("lif", n_in=n_in, size=hidden, inner_steps=4)
    return below, cell("lif", n_in=hidden, size=hidden, inner_steps=4)


def _mf_psn(n_in: int, hidden: int) -> tuple[Cell, ...]:
    """Two layers with the paper's sawtooth of dilations."""
    below = cell("mf_psn", n_in=n_in, size=hidden, dilation=1)
    return below, cell("mf_psn", n_in=hidden, size=hidden, dilation=2)


def _stacked(n_in: int, hidden: int) -> tuple[Cell, ...]:
    """The memoryless baseline: four frames, two dense layers."""
    return (
        cell("frames", n_in=n_in, size=4 * n_in),
        cell("dense", n_in=4 * n_in, size=hidden),
        cell("dense", n_in=hidden, size=hidden),
    )


_NETWORKS: Mapping[str, Callable[[int, int], tuple[Cell, ...]]] = {
    "grsn": _grsn("spikes"),
    "grsn-a": _grsn("input"),
    "lif": _lif,
    "mlp": _stacked,
    "gru": _one("gru"),
    "lstm": _one("lstm"),
    "rlif": _one("rlif"),
    "tc-lif": _one("tc_lif", theta=0.5, gamma=0.25, shared=False),
    "elm": _one("elm"),
    "pmsn": _one("pmsn"),
    "mf-psn": _mf_psn,
    "grsn-rate": _one("grsn", inner_steps=4),
    "lif-rate": _lif_rate,
    "grsn-first-spike": _one("grsn"),
    "grsn-stochastic": _one("grsn"),
}
_READOUTS: Mapping[str, str] = {
    "grsn-first-spike": "first_spike",
    "grsn-stochastic": "stochastic",
}
"""Read-outs of the networks that do not end in a leaky integrator."""

_CARTPOLE = {
    "hidden": 32,
    "goal": 495.0,
    "stop_at": 499.5,
    "gamma": 0.99,
    "reward_scale": 0.1,
    "float_steps": 60 * 16384,
    "quieten_steps": 60 * 16384,
    "quieten_lr": 3e-3,
    "tune_steps": 10 * 16384,
}
_PENDULUM = {
    "hidden": 32,
    "goal": -180.0,
    "gamma": 0.95,
    "reward_scale": 0.125,
    "lr": 3e-3,
    "float_steps": 80 * 16384,
    "quieten_steps": 60 * 16384,
    "quieten_lr": 2e-3,
    "tune_steps": 10 * 16384,
    "evaluate_episodes": 256,
}
_SIMULATED = {
    "hidden": 64,
    "goal": None,
    "gamma": 0.99,
    "reward_scale": 0.1,
    "lr": 3e-3,
    "envs": 256,
    "steps": 16,
    "epochs": 8,
    "minibatches": 2,
    "float_steps": 256 * 4096,
    "quieten_steps": 75 * 4096,
    "tune_steps": 25 * 4096,
    "evaluate_every": 25,
    "evaluate_episodes": 32,
}
"""Short roll-outs of many environments: a scan's cost is its length, hardly its width."""

_LUNARLANDER = {
    **_SIMULATED,
    "goal": 200.0,
    "stop_at": 240.0,
    "gamma": 0.997,
    "gae": 0.98,
    "reward_scale": 0.05,
    "entropy": 0.001,
    "lr": 2e-3,
    "envs": 64,
    "steps": 32,
    "epochs": 4,
    "minibatches": 4,
    "float_steps": 900 * 2048,
    "quieten_steps": 300 * 2048,
    "tune_steps": 40 * 2048,
    "evaluate_every": 50,
    "observation": "int16",
}
"""A landing pays after hundreds of steps; in eight bits a slow descent is no motion at all."""

_WALKERS = {
    **_SIMULATED,
    "hidden": 128,
    "entropy": 0.0,
    "log_std": -1.0,
    "float_steps": 150 * 4096,
    "tune_steps": 10 * 4096,
    "evaluate_every": 10,
    "evaluate_episodes": 8,
    "observation": "int16",
}
"""Positions of eight bits are too coarse to tell velocities 8 ms apart."""

_HALF_CHEETAH = {**_WALKERS, "float_steps": 60 * 4096}
_TMAZE = {
    "hidden": 32,
    "goal": 3.8,
    "stop_at": 3.95,
    "gamma": 0.98,
    "reward_scale": 1.0,
    "float_steps": 100 * 16384,
    "quieten_steps": 60 * 16384,
    "tune_steps": 10 * 16384,
    "entropy": 0.01,
}
_REPEAT_PREVIOUS = {
    **_TMAZE,
    "hidden": 128,
    "grsn": {"memory": "relay", "beta_init": "fast"},
    "goal": None,
    "stop_at": 0.99,
    "gamma": 0.0,
    "gae": 0.0,
    "lr": 5e-3,
    "reward_scale": 10.0,
}
"""An answer is right or wrong at once, and changes nothing that comes."""

_FOR_TASK: Mapping[str, Mapping[str, Any]] = {
    "cartpole-p": _CARTPOLE,
    "cartpole-v": _CARTPOLE,
    "pendulum-p": _PENDULUM,
    "pendulum-v": {**_PENDULUM, "hidden": 64, "lr": 5e-3, "float_steps": 160 * 16384},
    "lunarlander-p": _LUNARLANDER,
    "lunarlander-v": _LUNARLANDER,
    **{f"{robot}-{mask}": _WALKERS for robot in ("hopper", "walker2d", "ant") for mask in "pv"},
    "halfcheetah-p": _HALF_CHEETAH,
    "halfcheetah-v": _HALF_CHEETAH,
    "tmaze": _TMAZE,
    "repeat-previous": _REPEAT_PREVIOUS,
}
_FOR_NETWORK: Mapping[str, Mapping[str, Any]] = {
    "lif": {"lr": 4e-3, "float_steps": 150 * 16384},
    "lif-rate": {"lr": 4e-3, "float_steps": 150 * 16384},
    "tc-lif": {"lr": 3e-3},
    "gru": {"lr": 3e-3},
    "lstm": {"lr": 3e-3},
}
_LOGGED = {
    "hidden": 32,
    "goal": None,
    "gamma": 0.99,
    "reward_scale": 0.1,
    "envs": 64,
    "steps": 64,
    "epochs": 2,
    "minibatches": 2,
    "float_steps": 120 * 4096,
    "quieten_steps": 60 * 4096,
    "tune_steps": 20 * 4096,
    "evaluate_every": 20,
    "evaluate_episodes": 32,
}
"""A log is small beside what physics give: few rows at once, over long stretches of time."""

_OTHERWISE = {**_CARTPOLE, "stop_at": None, "goal": None}
