"""`python -m benchmarks [names…] [--quick] [--size NAME=N] [--out FOLDER]`."""

import argparse
import importlib
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Protocol, cast

from benchmarks import produce, report
from benchmarks.machine import surroundings
from benchmarks.report import Report
from benchmarks.scale import Scale
from benchmarks.stage import Stage

MODULES = (
    "mark_rate",
    "delete_rate",
    "latency",
    "old_rows",
    "memory",
    "idle",
    "dead_letters",
    "dead_topic",
    "dead_requeue",
    "dead_service",
    "transitions",
    "state_counts",
    "flow_proof",
    "payments",
    "operations",
    "dead_outbox",
    "bookings",
    "trace_story",
    "lag",
    "status",
    "exporter",
    "dashboard",
)
_SIZES = ("bookings", "kills")
_WARM_UP = 400_000
"""Records that Kafka takes before anything is measured: its code is compiled as it is used."""


class Benchmark(Protocol):
    """What a module of a benchmark has."""

    NAME: str
    TITLE: str
    SECONDS: int
    """It is given up after so long."""

    def run(self, stage: Stage, scale: Scale) -> Report:
        """Measure."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the chosen benchmarks, all by default; 1 where one could not be run to its end."""
    chosen = {name_of(module): module for module in MODULES}
    options = _parser(list(chosen)).parse_args(arguments)
    names = options.names or list(chosen)
    scale = Scale(options.quick, dict(options.size))
    failed = 0
    with tempfile.TemporaryDirectory(prefix="ticketops-bench-") as folder:
        stage = Stage(Path(folder))
        try:
            stage.start()
            produce.rate(stage.kafka.address, scale.of(_WARM_UP, _WARM_UP // 8), batch=1000)
            surrounding = surroundings(quick=options.quick, engines=stage.describe())
            print(_heading(surrounding))
            for name in names:
                failed += not _run(load(chosen[name]), stage, scale, options.out, surrounding)
        finally:
            stage.close()
    return int(failed > 0)


def load(module: str) -> Benchmark:
    """A benchmark by its module's name."""
    return cast("Benchmark", importlib.import_module(f"benchmarks.{module}"))


def name_of(module: str) -> str:
    """What the command line calls it."""
    return module.replace("_", "-")


def _parser(names: Sequence[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", type=_one_of(names), help=f"of: {', '.join(names)}")
    parser.add_argument("--quick", action="store_true", help="small sizes, one round: shows that it works")
    parser.add_argument(
        "--size", action="append", default=[], metavar="NAME=N", type=_size, help="of flow-proof: bookings, kills"
    )
    default = Path(__file__).with_name("results")
    parser.add_argument("--out", type=Path, default=default, metavar="FOLDER", help="where the JSON goes")
    return parser


def _size(text: str) -> tuple[str, int]:
    name, _, number = text.partition("=")
    if name not in _SIZES or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=N with a name of {', '.join(_SIZES)}")
    return name, int(number)


def _one_of(names: Sequence[str]) -> Callable[[str], str]:
    def check(name: str) -> str:
        if name not in names:
            raise argparse.ArgumentTypeError(f"{name!r} is none of: {', '.join(names)}")
        return name

    return check


def _heading(surrounding: dict[str, object]) -> str:
    parts = [f"{key}: {surrounding[key]}" for key in ("machine", "versions", "engines", "load_at_start")]
    return "\n".join(parts) + "\n"


def _run(benchmark: Benchmark, stage: Stage, scale: Scale, out: Path, surrounding: dict[str, object]) -> bool:
    try:
        with _limit(benchmark.SECONDS):
            found = benchmark.run(stage, scale)
    except (RuntimeError, TimeoutError) as error:
        print(f"{benchmark.NAME}: {error}\n", file=sys.stderr)
        return False
    path = report.write(out, found, surrounding)
    print(f"{report.render(found)}\n-> {path}\n", flush=True)
    return True


@contextmanager
def _limit(seconds: int) -> Iterator[None]:
    """TimeoutError in the main thread after so many seconds."""

    def late(_: int, __: FrameType | None) -> None:
        raise TimeoutError(f"given up after {seconds} s")

    former = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, former)


if __name__ == "__main__":
    sys.exit(main())
