"""Two ends for :func:`run_realtime`: a stream of lines, and an environment that keeps pace."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from grsn_edge.errors import ObservationError
from grsn_edge.policy import Policy
from grsn_edge.runtime.executor import Executed
from grsn_edge.runtime.play import Environment
from grsn_edge.runtime.stream import Format, read_observations

__all__ = ["Newest", "World"]


class Newest:
    """The newest observation of lines that a thread reads as they come (see :func:`read_lines`).

    Args:
        policy: whose observations they are.
        lines: text; reading it may wait.
        form: of the lines.
        on_error: told of every line that is no observation.

    Attributes:
        bad: such lines.
        passed_over: observations that a newer one replaced before they were taken.
    """

    def __init__(
        self,
        policy: Policy,
        lines: Iterable[str],
        form: Format = "auto",
        on_error: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.bad = self.passed_over = 0
        self._on_error = on_error
        self._lock = threading.Lock()
        self._newest: list[float] | None = None
        self._failure: Exception | None = None
        self._thread = threading.Thread(
            target=self._read, args=(policy, lines, form), daemon=True, name="observations"
        )
        self._thread.start()

    def take(self) -> list[float] | None:
        """The newest observation ``(n,)``, or None where there is none since the last call.

        Raises:
            UsageError: the form is not known.
            OSError: the stream cannot be read.
        """
        if self._failure is not None:
            raise self._failure
        with self._lock:
            newest, self._newest = self._newest, None
        return newest

    @property
    def ended(self) -> bool:
        """Whether the stream has ended, and what it gave was taken."""
        return not self._thread.is_alive() and self._newest is None

    def _read(self, policy: Policy, lines: Iterable[str], form: Format) -> None:
        try:
            for found in read_observations(policy, lines, form):
                if isinstance(found, ObservationError):
                    self.bad += 1
                    self._on_error(str(found))
                    continue
                with self._lock:
                    self.passed_over += self._newest is not None
                    self._newest = found
        except Exception as error:  # of another thread: raised where it is asked for
            self._failure = error


class World:
    """An environment that advances once for each step of the policy, until its episode ends.

    Args:
        environment: where.
        seed: of the episode.
        max_steps: a limit beside the environment's own.

    Attributes:
        ret, steps: so far.
    """

    def __init__(self, environment: Environment, seed: int, max_steps: int) -> None:
        self.ret, self.steps = 0.0, 0
        self._environment, self._max_steps = environment, max_steps
        self._observation: Any = environment.reset(seed=seed)[0]
        self._over = False

    def read(self) -> Any:
        """What was observed since the last call, or None."""
        observation, self._observation = self._observation, None
        return observation

    def act(self, executed: Executed) -> bool:
        """Take an action; whether the episode is over."""
        if executed.stepped and not self._over:
            self._observation, reward, terminated, truncated, _ = self._environment.step(
                executed.action
            )
            self.ret += float(reward)
            self.steps += 1
            self._over = terminated or truncated or self.steps >= self._max_steps
        return self._over
