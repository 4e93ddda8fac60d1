"""``device``: boards behind a cable, and emulated ones."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grsn_edge.cli.eval import trained_on
from grsn_edge.cli.result import Result, columns
from grsn_edge.errors import DeviceError, UsageError
from grsn_edge.policy import Policy, load

if TYPE_CHECKING:
    from grsn_edge.device.boards import Board

SUMMARY = "boards behind a cable, and emulated ones: what they are, run, and compute"
EXAMPLE = "grsn-edge device run models/cartpole-p.grsn --port m4"

_PORT = "/dev/ttyACM0, socket://HOST:PORT, or a board's name, which starts an emulated one"


@dataclass(frozen=True, slots=True)
class _Command:
    summary: str
    example: str
    configure: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], Result]


def configure(parser: argparse.ArgumentParser) -> None:
    """One subcommand each."""
    group = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, command in _COMMANDS.items():
        one = group.add_parser(
            name,
            help=command.summary,
            description=command.summary,
            epilog=f"example:\n  {command.example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        one.add_argument(
            "--json",
            action="store_true",
            default=argparse.SUPPRESS,
            help="print the result as JSON",
        )
        command.configure(one)
        one.set_defaults(command=command)


def run(args: argparse.Namespace) -> Result:
    """Call the subcommand."""
    result: Result = args.command.run(args)
    return result


# ---- arguments ----


def _port(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--port", help=f"{_PORT} (default: the only serial port)")
    parser.add_argument("--baud", type=int, default=115200, help="of a serial port")
    parser.add_argument("--emulator", default="auto", help="of an emulated board: unicorn, qemu, …")


def _model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", type=Path, help="a .grsn file")
    _port(parser)


def _of_step(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("values", nargs="+", help="an observation: numbers, or codes, see --model")
    parser.add_argument("--model", type=Path, help=".grsn file: its units; without: integer codes")
    parser.add_argument("--reset", action="store_true", help="begin an episode with this step")
    _port(parser)


def _of_run(parser: argparse.ArgumentParser) -> None:
    _model(parser)
    parser.add_argument("--task", help="default: the one that the policy was trained in")
    parser.add_argument("--episodes", type=int, default=1, help="default 1")
    parser.add_argument("--seed", type=int, default=0, help="of the first episode (default 0)")


def _of_verify(parser: argparse.ArgumentParser) -> None:
    _model(parser)
    parser.add_argument("--steps", type=int, default=1000, help="default 1000")


def _of_emulate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--board", default="m4", help="default m4; see `grsn-edge device list`")
    parser.add_argument("--model", type=Path, help="a .grsn file to put onto it")
    parser.add_argument("--emulator", default="auto", help="unicorn, qemu, …")
    parser.add_argument("--tcp", type=int, default=0, help="TCP port (default: a free one)")


@contextmanager
def _connected(args: argparse.Namespace, policy: Policy | None = None) -> Iterator[Any]:
    from grsn_edge.device.connect import connect

    with connect(
        args.port, policy=policy, baud=args.baud, emulator=args.emulator, progress=_progress(args)
    ) as connection:
        yield connection


def _progress(args: argparse.Namespace) -> Callable[[int, int], None] | None:
    if args.json or not sys.stderr.isatty():
        return None
    return lambda done, total: print(f"\r{done} of {total} bytes", end="", file=sys.stderr)


# ---- subcommands ----


def _list(args: argparse.Namespace) -> Result:
    from grsn_edge.device.boards import board, board_names
    from grsn_edge.device.connect import serial_ports
    from grsn_edge.device.emulate import missing

    ports = serial_ports()
    boards = [
        {
            "name": name,
            "title": board(name).title,
            "emulators": list(board(name).emulators),
            "silicon": board(name).silicon,
            "missing": missing(name),
            "page": board(name).page,
        }
        for name in board_names()
    ]
    rows = [("port", p["address"], p["description"]) for p in ports]
    rows += [("board", str(b["name"]), f"{b['title']}: {_standing(b)}") for b in boards]
    head = "" if ports else "no serial port here\n"
    return Result({"ports": ports, "boards": boards}, head + columns(rows))


def _standing(entry: dict[str, Any]) -> str:
    if not entry["emulators"]:
        return f"firmware to build, see {entry['page']}"
    return entry["missing"] or f"ready ({', '.join(entry['emulators'])})"


def _info(args: argparse.Namespace) -> Result:
    with _connected(args) as connection:
        found = connection.device.info()
    data = json.loads(json.dumps(asdict(found), default=str))
    rows = [
        (f"{part} {name}", value)
        for part in ("hello", "board", "model", "counters", "link")
        for name, value in data[part].items()
    ]
    policy = [("policy", found.name)] if found.name else []
    return Result(data, columns([("address", found.address), *policy, *rows]))


def _flash(args: argparse.Namespace) -> Result:
    policy = load(args.model)
    begun = time.perf_counter()
    with _connected(args) as connection:
        status = connection.device.load(policy, progress=_progress(args))
        address = connection.device.address
    seconds = time.perf_counter() - begun
    data = {"address": address, "seconds": seconds, **asdict(status)}
    text = (
        f"'{policy.name}' ({status.size} bytes) runs on {address}: checked, its golden vectors "
        f"repeated, confirmed in slot {status.active} ({seconds:.1f} s)"
    )
    return Result(data, text)


def _step(args: argparse.Namespace) -> Result:
    from grsn_edge.device.policy import DevicePolicy

    policy = load(args.model) if args.model else None
    with _connected(args, policy) as connection:
        device = connection.device
        if args.reset:
            device.reset()
        if policy is None:
            action = device.step(_numbers(args.values, int)).tolist()
        else:
            device.use(policy)
            action = _plain(DevicePolicy(device, policy).step(_numbers(args.values, float)))
        counts = device.last.counts
    return Result({"action": action, "counts": counts}, f"action {action} ({counts} counts)")


def _numbers(texts: list[str], kind: Callable[[str], Any]) -> list[Any]:
    try:
        return [kind(text) for text in texts]
    except ValueError as error:
        raise UsageError(f"{error}; with --model numbers, else integer codes") from None


def _plain(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def _run(args: argparse.Namespace) -> Result:
    from grsn_edge.device.played import played
    from grsn_edge.tasks import task

    policy = load(args.model)
    chosen = task(args.task or trained_on(policy))
    if args.episodes < 1:
        raise UsageError(f"--episodes is at least 1, not {args.episodes}")
    with _connected(args, policy) as connection:
        game = played(connection.device, policy, chosen, args.episodes, args.seed)
        board = connection.device.info().board
    episodes = [{"seed": e.seed, "return": e.ret, "steps": e.steps} for e in game.episodes]
    data = {"task": chosen.name, "board": board.name, **asdict(game), "mean": game.mean}
    data["episodes"] = episodes
    rows: list[tuple[Any, ...]] = [("seed", "return", "steps")]
    rows += [(e.seed, f"{e.ret:.1f}", e.steps) for e in game.episodes]
    unit = f"{board.counter.name.lower()} a step"
    last = f"{game.counts_mean:.0f} {unit}, at most {game.counts_most}; actions {game.digest}"
    return Result(data, f"{columns(rows)}\nmean return {game.mean:.1f} on {board.name}; {last}")


def _verify(args: argparse.Namespace) -> Result:
    from grsn_edge.device.played import compared

    policy = load(args.model)
    if args.steps < 1:
        raise UsageError(f"--steps is at least 1, not {args.steps}")
    with _connected(args, policy) as connection:
        report = compared(connection.device, policy, args.steps)
    text = report.difference or (
        f"{report.steps} steps: every action and every state equal; hash {report.digest}"
    )
    data = {"equal": report.difference is None, **asdict(report)}
    return Result(data, text, 0 if report.difference is None else 1)


def _selftest(args: argparse.Namespace) -> Result:
    policy = load(args.model) if args.model else None
    with _connected(args, policy) as connection:
        step = connection.device.self_test()
        address = connection.device.address
    good = "every golden step is repeated"
    text = f"{address}: {good if step < 0 else f'golden step {step} differs'}"
    return Result({"address": address, "step": step, "equal": step < 0}, text, int(step >= 0))


def _of_selftest(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, help="for an emulated board: a .grsn file")
    _port(parser)


def _emulate(args: argparse.Namespace) -> Result:
    from grsn_edge.device.boards import board
    from grsn_edge.device.client import Device
    from grsn_edge.device.emulate import emulate

    policy = load(args.model) if args.model else None
    compiled_in = policy if policy and board(args.board).emulated_engine != "vm" else None
    with emulate(
        args.board, args.emulator, policy=compiled_in, port=args.tcp, terminal=True
    ) as emulated:
        if policy and compiled_in is None:
            with Device.open(emulated.address) as device:
                device.load(policy)
        data = {
            "board": args.board,
            "emulator": emulated.emulator,
            "address": emulated.address,
            "terminal": emulated.terminal,
            "firmware": str(emulated.elf),
        }
        rows = [(name, value) for name, value in data.items() if value]
        text = f"{columns(rows)}\nCtrl-C ends it; in another shell:\n"
        text += f"  grsn-edge device info --port {emulated.address}"
        print(json.dumps(data) if args.json else text, flush=True)
        _wait_for(emulated)
    return Result({"ended": True}, "ended")


def _of_build(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--board", required=True, help="see `grsn-edge device list`")
    parser.add_argument("--model", type=Path, help="a .grsn file to compile in as generated C")
    parser.add_argument("--toolchain", default="auto", help="zig, gcc, or auto (default)")
    parser.add_argument("--optimise", metavar="LEVEL", default="2", help="0 to 3, or s (default 2)")
    parser.add_argument(
        "--out", type=Path, help="where it goes (default BOARD.elf); .uf2: for a Pico's drive"
    )


def _build(args: argparse.Namespace) -> Result:
    from grsn_edge.device.boards import board
    from grsn_edge.device.build import firmware, sizes

    chosen = board(args.board)
    policy = load(args.model) if args.model else None
    elf = firmware(chosen, args.toolchain, f"-O{args.optimise}", policy)
    out = args.out or Path(f"{chosen.name}.elf")
    out.write_bytes(_as_wanted(chosen, elf, out))
    held = asdict(sizes(elf))
    text = f"{out}: {', '.join(f'{name} {size} bytes' for name, size in held.items())}"
    return Result({"out": str(out), **held}, f"{text}\nwiring and flashing: {chosen.page}")


def _as_wanted(chosen: Board, elf: Path, out: Path) -> bytes:
    """The firmware's bytes in the format that the name asks for."""
    from grsn_edge.device.uf2 import uf2

    if out.suffix.lower() != ".uf2":
        return elf.read_bytes()
    if chosen.uf2 is None:
        raise UsageError(f"{chosen.name} takes no UF2 file: name an .elf, and see {chosen.page}")
    return uf2(elf, chosen.uf2)


def _wait_for(emulated: Any) -> None:
    """Until Ctrl-C; an emulator that ends by itself is an error."""
    try:
        while (reason := emulated.machine.failure()) is None:
            time.sleep(0.2)
    except KeyboardInterrupt:
        return
    raise DeviceError(f"the emulator of {emulated.board.name} ended: {reason}")


_COMMANDS = {
    "list": _Command(
        "serial ports, boards, and what is missing to emulate them",
        "grsn-edge device list",
        lambda parser: None,
        _list,
    ),
    "info": _Command(
        "what a device is and runs, and how the link has been",
        "grsn-edge device info --port /dev/ttyACM0",
        _port,
        _info,
    ),
    "flash": _Command(
        "put a policy onto a device over the link; goes on where a cut one stood",
        "grsn-edge device flash models/cartpole-p.grsn --port /dev/ttyACM0",
        _model,
        _flash,
    ),
    "step": _Command(
        "one step on a device: an observation in, an action out",
        "grsn-edge device step 0.01 -0.02 --model models/cartpole-p.grsn --port m4",
        _of_step,
        _step,
    ),
    "run": _Command(
        "play episodes in a task through a device",
        "grsn-edge device run models/cartpole-p.grsn --episodes 3 --port m4",
        _of_run,
        _run,
    ),
    "verify": _Command(
        "a device beside the NumPy reference, in lockstep",
        "grsn-edge device verify models/cartpole-p.grsn --steps 2000 --port m4",
        _of_verify,
        _verify,
    ),
    "selftest": _Command(
        "replay a policy's golden vectors on the device",
        "grsn-edge device selftest --port /dev/ttyACM0",
        _of_selftest,
        _selftest,
    ),
    "build": _Command(
        "build the firmware of a board, to be flashed by its usual tool",
        "grsn-edge device build --board nrf52840 --out firmware.elf",
        _of_build,
        _build,
    ),
    "emulate": _Command(
        "start an emulated board and print its address, until Ctrl-C",
        "grsn-edge device emulate --board m4 --model models/cartpole-p.grsn",
        _of_emulate,
        _emulate,
    ),
}
