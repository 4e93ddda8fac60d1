"""What holds something until it is closed, and is closed by the end of its ``with`` block."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

__all__ = ["Closing"]

_C = TypeVar("_C", bound="Closing")


class Closing(ABC):
    """A context manager: itself on entry, closed on exit, whatever was raised."""

    @abstractmethod
    def close(self) -> None:
        """Give back what it holds."""

    def __enter__(self: _C) -> _C:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
