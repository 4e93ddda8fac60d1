"""The one tree of errors.

Every error that a user can cause is one of these; its text says what was wrong, where, and what
to do about it.  Catch the level you need::

    GrsnEdgeError
    ├── UsageError              an argument or option that cannot be honoured
    ├── ProgramError            a step program that is not well formed
    │   └── RangeProofError     a value that could leave int32, or a state its declared range
    ├── FreezeError             trained parameters that have no integer form
    ├── PolicyFileError         a ``.grsn`` file that cannot be trusted
    │   ├── FormatError         not the documented layout
    │   ├── VersionError        written by a newer (or unknown) format version
    │   └── IntegrityError      digest, overflow proof or golden vectors do not match
    ├── BackendError            a backend that cannot run the program
    │   ├── BackendUnavailable  a missing package or tool; the text says what to install
    │   └── CompileError        the C compiler refused; the text holds its output
    ├── ObservationError        an observation of wrong shape, NaN or infinite
    ├── StateError              a state of wrong names, shape or range
    ├── DeviceError             a device that does not do what was asked
    │   ├── LinkError           no answer, or an answer that cannot be understood
    │   │   ├── DeviceLost      the port has gone: unplugged, closed, or the emulator ended
    │   │   └── DeviceRestarted the device started again in between: its state is lost
    │   ├── DeviceRefused       the device answered with an error; the text names it
    │   └── ModelMismatch       the device runs another model than the one that was meant
    ├── MeterError              a power meter that cannot be used or trusted
    │   ├── MeterUnavailable    not there, in use, or its package is missing
    │   └── MeterFault          it stopped, or what it sends cannot be right
    ├── TaskError               an unknown or unusable task
    └── TrainingError           training cannot start, go on or be resumed
        └── CheckpointError     a checkpoint that cannot be read or does not fit
"""

from __future__ import annotations

__all__ = [
    "BackendError",
    "BackendUnavailable",
    "CheckpointError",
    "CompileError",
    "DeviceError",
    "DeviceLost",
    "DeviceRefused",
    "DeviceRestarted",
    "FormatError",
    "FreezeError",
    "GrsnEdgeError",
    "IntegrityError",
    "LinkError",
    "MeterError",
    "MeterFault",
    "MeterUnavailable",
    "ModelMismatch",
    "ObservationError",
    "PolicyFileError",
    "ProgramError",
    "RangeProofError",
    "StateError",
    "TaskError",
    "TrainingError",
    "UsageError",
    "VersionError",
]


class GrsnEdgeError(Exception):
    """Base of every error raised on purpose by grsn-edge."""


class UsageError(GrsnEdgeError):
    """An argument or option that cannot be honoured."""


class ProgramError(GrsnEdgeError):
    """A step program that is not well formed."""


class RangeProofError(ProgramError):
    """A value that could leave int32, or a next state that could leave its declared range."""


class FreezeError(GrsnEdgeError):
    """Trained parameters that have no integer form."""


class PolicyFileError(GrsnEdgeError):
    """A ``.grsn`` file that cannot be trusted."""


class FormatError(PolicyFileError):
    """A file that does not have the layout of ``docs/SPEC.md``."""


class VersionError(PolicyFileError):
    """A file written in a format version that this release does not read."""


class IntegrityError(PolicyFileError):
    """A file whose digest, overflow proof or golden vectors do not match its content."""


class BackendError(GrsnEdgeError):
    """A backend that cannot run the program."""


class BackendUnavailable(BackendError):
    """A backend whose package or tool is missing; the text says what to install."""


class CompileError(BackendError):
    """The C compiler refused the generated source; the text holds its output."""


class ObservationError(GrsnEdgeError):
    """An observation of the wrong shape, or with NaN or infinite values."""


class StateError(GrsnEdgeError):
    """A state with wrong names, shapes or values outside the proven range."""


class DeviceError(GrsnEdgeError):
    """A device that does not do what was asked."""


class LinkError(DeviceError):
    """No answer over the link in time, or an answer that cannot be understood."""


class DeviceLost(LinkError):
    """The port has gone: unplugged, closed, or the emulator ended."""


class DeviceRestarted(LinkError):
    """The device started again in the middle: its state, and what was under way, are lost."""


class DeviceRefused(DeviceError):
    """The device answered a command with an error."""


class ModelMismatch(DeviceError):
    """The device runs another model than the one that was meant."""


class MeterError(GrsnEdgeError):
    """A power meter that cannot be used or trusted."""


class MeterUnavailable(MeterError):
    """A meter that is not there, is in use, or whose package is missing."""


class MeterFault(MeterError):
    """A meter that stopped in the middle, or whose samples cannot be right."""


class TaskError(GrsnEdgeError):
    """An unknown or unusable task."""


class TrainingError(GrsnEdgeError):
    """Training cannot start, go on or be resumed."""


class CheckpointError(TrainingError):
    """A checkpoint that cannot be read or that belongs to another run."""
