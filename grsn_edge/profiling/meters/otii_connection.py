"""The Otii server's protocol: JSON objects over TCP, each ended by CR LF.

Source: qoitech/otii-tcp-client-python ``otii_connection.py``; a test drives the emulator with that
client.
"""

from __future__ import annotations

import json
import socket
from typing import Any

from grsn_edge.errors import MeterFault, MeterUnavailable

__all__ = ["OtiiConnection"]

_MAX_LINE = 64 << 20


class OtiiConnection:
    """One connection.  Raises :class:`MeterUnavailable` where no server greets."""

    def __init__(self, host: str, port: int, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._rest = b""
        self._number = 0
        where = f"{host}:{port}"
        try:
            self._socket = socket.create_connection((host, port), timeout_s)
        except OSError as error:
            raise MeterUnavailable(
                f"Otii: no server at {where} ({error.strerror or error}); start the Otii "
                "application or otii_server, and switch its TCP server on"
            ) from None
        try:
            greeting = self._receive()
        except MeterFault as error:
            self.close()
            raise MeterUnavailable(f"{error}; is {where} an Otii server?") from None
        if greeting.get("type") != "information":
            self.close()
            raise MeterUnavailable(f"Otii: {where} greets with {str(greeting)[:80]!a}")
        self.greeting: dict[str, Any] = greeting.get("data", {})

    def request(self, command: str, **data: Any) -> dict[str, Any]:
        """Send a command and wait for its answer's data.

        Raises:
            MeterFault: no answer in time, one to another question, or an error; the text says it.
        """
        self._number += 1
        wanted = str(self._number)
        message = {"type": "request", "cmd": command, "trans_id": wanted, "data": data}
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\r\n")
        except OSError as error:
            raise MeterFault(f"Otii: the connection is lost ({error.strerror or error})") from None
        while (answer := self._receive()).get("type") in ("progress", "information"):
            pass
        if answer.get("trans_id") != wanted:
            raise MeterFault(
                f"Otii: {command}: the answer belongs to question {answer.get('trans_id')!a}, not "
                f"{wanted}; does another program use this connection?"
            )
        if answer.get("type") != "response":
            text = answer.get("payload", {}).get("message") or answer.get("errorcode", "")
            raise MeterFault(f"Otii: {command} is refused: {str(text)[:200]}{_advice(str(text))}")
        found = answer.get("data")
        return found if isinstance(found, dict) else {}

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def _receive(self) -> dict[str, Any]:
        while b"\r\n" not in self._rest:
            try:
                got = self._socket.recv(1 << 17)
            except TimeoutError:
                raise MeterFault(f"Otii: no answer within {self._timeout_s} s") from None
            except OSError as error:
                raise MeterFault(f"Otii: the connection is lost ({error.strerror})") from None
            if not got:
                raise MeterFault("Otii: the server closed the connection")
            self._rest += got
            if len(self._rest) > _MAX_LINE:
                raise MeterFault("Otii: an answer without an end")
        line, self._rest = self._rest.split(b"\r\n", 1)
        try:
            message = json.loads(line.decode("utf-8"))
        except ValueError:
            raise MeterFault(f"Otii: the server says {line[:60]!a}, which is not JSON") from None
        if not isinstance(message, dict):
            raise MeterFault(f"Otii: the server says {line[:60]!a}, not an object")
        return message


def _advice(text: str) -> str:
    if "licen" in text.lower():
        return "; automation needs a licence: log in and reserve one in the Otii application"
    return ""
