"""A session as an MCAP file, for Foxglove: steps and power on one time axis."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from grsn_edge.errors import UsageError
from grsn_edge.policy.atomic import write_atomically
from grsn_edge.profiling.session import Session

__all__ = ["write_mcap"]

_MOST_POWER = 100_000  # messages; more samples are joined by their mean

_STEP = {
    "type": "object",
    "properties": {
        "step": {"type": "integer"},
        "episode": {"type": "integer"},
        "latency_s": {"type": "number"},
        "cost": {"type": ["integer", "null"]},
        "reward": {"type": ["number", "null"]},
        "action": {"type": "array", "items": {"type": "number"}},
        "observation": {"type": "array", "items": {"type": "number"}},
    },
}
_POWER = {
    "type": "object",
    "properties": {"power_w": {"type": "number"}, "digital": {"type": "integer"}},
}


def write_mcap(folder: str | os.PathLike[str]) -> Path:
    """Write ``session.mcap`` into a session's folder; its path.

    Topics: ``/step`` and ``/power``, JSON messages with schemas.  Times are those of the host's
    clock since the session began; the meter's are moved by what ``session.json`` says.

    Raises:
        UsageError: the package mcap is not installed.
        FormatError: no session.
    """
    try:
        from mcap.writer import Writer
    except ImportError:
        raise UsageError("MCAP needs its package; pip install grsn-edge[profile]") from None
    import io

    session = Session.read(folder)
    buffer = io.BytesIO()
    writer: Any = Writer(buffer)
    writer.start(profile="", library="grsn-edge")
    steps = _channel(writer, "/step", _STEP)
    for at_s, message in _steps(session):
        _put(writer, steps, at_s, message)
    power = session.content.get("power")
    if power:
        channel = _channel(writer, "/power", _POWER)
        for at_s, message in _samples(session, int(power["samples"])):
            _put(writer, channel, max(0.0, at_s + power["begins_s"]), message)
    writer.finish()
    path = session.folder / "session.mcap"
    write_atomically(path, buffer.getvalue())
    return path


def _channel(writer: Any, topic: str, schema: dict[str, Any]) -> int:
    data = json.dumps(schema).encode()
    schema_id = writer.register_schema(name=topic[1:], encoding="jsonschema", data=data)
    return int(writer.register_channel(topic=topic, message_encoding="json", schema_id=schema_id))


def _put(writer: Any, channel: int, at_s: float, message: dict[str, Any]) -> None:
    at_ns = round(at_s * 1e9)
    data = json.dumps(message, separators=(",", ":")).encode()
    writer.add_message(channel_id=channel, log_time=at_ns, publish_time=at_ns, data=data)


def _steps(session: Session) -> Iterator[tuple[float, dict[str, Any]]]:
    columns = session.steps()
    for i in range(len(columns["step"])):
        row = {name: cells[i] for name, cells in columns.items()}
        begin, end = float(row["begin_s"]), float(row["end_s"])
        yield (
            begin,
            {
                "step": int(row["step"]),
                "episode": int(row["episode"]),
                "latency_s": end - begin,
                "cost": int(row["cost"]) if row["cost"] else None,
                "reward": float(row["reward"]) if row["reward"] else None,
                "action": [float(cell) for cell in row["action"].split()],
                "observation": [float(cell) for cell in row["observation"].split()],
            },
        )


def _samples(session: Session, samples: int) -> Iterator[tuple[float, dict[str, Any]]]:
    """Neighbours joined so that there are at most :data:`_MOST_POWER` messages."""
    every = -(-samples // _MOST_POWER) or 1
    rows = (row for part in session.power() for row in part)
    while chunk := list(islice(rows, every)):
        energy = sum(row[1] * row[2] for row in chunk)
        duration = sum(row[1] for row in chunk)
        yield (
            float(chunk[0][0]),
            {"power_w": float(energy / duration), "digital": int(chunk[0][5])},
        )
