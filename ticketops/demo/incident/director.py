"""Breaks one thing after the other, and sees to it that `status` notices each, and that it is well again."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Protocol

from ticketops.demo.incident.scenes import Expected, Scene
from ticketops.domain.lag.verdicts import Grade
from ticketops.domain.overview.check import Check, Unit
from ticketops.domain.text import terminal_safe
from ticketops.errors import BackendError
from ticketops.services.overview.status import Status

STUCK: Final = 180.0
"""Seconds after which a wait is given up."""
_LOOK: Final = 0.2
_END: Final = 30.0
"""Seconds that the play may take to end."""


class Audience(Protocol):
    """Who watches."""

    def begin(self, what: str) -> None:
        """This goes on now."""

    def seen(self, seconds: float, lines: Sequence[str]) -> None:
        """`status` has noticed it, so long after it began, in these lines."""

    def well(self, name: str) -> None:
        """What this scene broke is well again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What came of a scene."""

    name: str
    expected: tuple[str, ...]
    """The lines of `status` that had to appear."""
    seen: tuple[str, ...]
    """Those that did, as they were."""
    seen_seconds: float | None
    """From the break until all of them were there; None where they never were together."""
    well_again: bool | None
    """Whether these lines were ok afterwards; None where that is left to others."""
    skipped: bool
    """Somebody went on before it was seen."""

    @property
    def holds(self) -> bool:
        """False where it was not noticed, or did not get well."""
        return self.skipped or (self.seen_seconds is not None and self.well_again is not False)


class Director:
    """Plays every scene once, in the thread that calls `run`."""

    def __init__(
        self,
        scenes: Sequence[Scene],
        audience: Audience,
        look_after: Callable[[], None],
        *,
        seconds: float,
        attended: bool,
        stuck: float = STUCK,
    ) -> None:
        """`seconds` that a scene stays after it was seen, and again after it was mended.

        `attended`: somebody is at a dashboard, to whom what is left of a scene is left.
        """
        self.played: list[Played] = []
        self._scenes = scenes
        self._audience = audience
        self._look_after = look_after
        self._seconds = seconds
        self._attended = attended
        self._stuck = stuck
        self._status: Status | None = None
        self._failure: BaseException | None = None
        self._next = threading.Event()
        self._stopped = threading.Event()

    @property
    def holds(self) -> bool:
        """True where all that was played was noticed and got well."""
        return all(one.holds for one in self.played)

    def saw(self, status: Status) -> None:
        """A new status; any thread."""
        self._status = status

    def go_on(self) -> None:
        """Go on with the next scene; any thread."""
        self._next.set()

    def fail(self, error: BaseException) -> None:
        """There will be no further status; any thread."""
        self._failure = error

    @contextmanager
    def in_a_thread(self) -> Iterator[None]:
        """Play while the block lasts; raises at its end what ended the play."""

        def guarded() -> None:
            try:
                self.run()
            except BaseException as error:  # noqa: BLE001 - the outermost guard of a thread: raised by its starter
                self._failure = error
                self._audience.begin(f"the demo failed: {error}; q leaves")

        thread = threading.Thread(target=guarded, name="director", daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.stop()
            thread.join(_END)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Play no further; any thread."""
        self._stopped.set()
        self._next.set()

    def run(self) -> None:
        """All scenes, or as far as one lets it; BackendError where the workload is not healthy to begin with."""
        lines = [line for scene in self._scenes for line in scene.expected]
        self._audience.begin("waiting until all is well")
        if not self._until(lambda: self._calm(lines)) and not self._stopped.is_set():
            raise BackendError("the workload is not well", why=f"after {self._stuck:.0f} s: {self._wrong()}")
        for number, scene in enumerate(self._scenes, 1):
            if self._stopped.is_set():
                return
            self._next.clear()
            self.played.append(self._play(f"{number}/{len(self._scenes)}", scene))
        self._audience.begin("that was the last scene; q leaves, and all of it ends")

    def _play(self, number: str, scene: Scene) -> Played:
        started = time.monotonic()
        self._audience.begin(f"{number} BROKEN: {scene.broken}. LOOK: {scene.look}")
        scene.breaks()
        appeared = self._until(lambda: self._all_there(scene.expected))
        seconds = time.monotonic() - started if appeared else None
        seen = tuple(map(told, self._found(scene.expected)))
        if appeared:
            self._audience.seen(time.monotonic() - started, seen)
            self._until(self._next.is_set, self._seconds)
        skipped = not appeared and (self._next.is_set() or self._stopped.is_set())
        self._next.clear()
        scene.mends()
        well = None if skipped else self._mended(number, scene)
        return Played(
            name=scene.name,
            expected=tuple(line.shown for line in scene.expected),
            seen=seen,
            seen_seconds=seconds,
            well_again=well,
            skipped=skipped,
        )

    def _mended(self, number: str, scene: Scene) -> bool | None:
        self._audience.begin(f"{number} MENDED: {scene.mended}")
        if self._attended:
            calm = self._until(lambda: self._calm(scene.expected), self._seconds)
            if calm:
                self._audience.well(scene.name)
                self._until(self._next.is_set, self._seconds)
            return True if calm else None
        if scene.acts is not None:
            scene.acts()
        calm = self._until(lambda: self._calm(scene.expected))
        if calm:
            self._audience.well(scene.name)
        return None if self._stopped.is_set() else calm

    def _until(self, condition: Callable[[], bool], seconds: float | None = None) -> bool:
        """Wait for the condition, for `seconds` or as long as anything may take; False where it never came."""
        deadline = time.monotonic() + (self._stuck if seconds is None else seconds)
        while not condition():
            if self._failure is not None:
                raise self._failure
            self._look_after()
            if time.monotonic() > deadline or self._stopped.is_set() or self._next.wait(_LOOK):
                return condition()
        return True

    def _found(self, lines: Sequence[Expected]) -> Sequence[Check]:
        known = self._status.lines if self._status is not None else ()
        wanted = {(line.area, line.subject, line.word) for line in lines}
        return [line for line in known if (line.area, line.subject, line.word) in wanted]

    def _all_there(self, lines: Sequence[Expected]) -> bool:
        return len(self._found(lines)) == len(lines)

    def _calm(self, lines: Sequence[Expected]) -> bool:
        """True where each of these lines is known and ok."""
        known = self._status.lines if self._status is not None else ()
        fine = {(line.area, line.subject) for line in known if line.grade is Grade.OK}
        return all((line.area, line.subject) in fine for line in lines)

    def _wrong(self) -> str:
        known = self._status.lines if self._status is not None else ()
        return "; ".join(told(line) for line in known if line.grade is not Grade.OK) or "nothing answered"


def told(line: Check) -> str:
    """A line of `status` in a few words."""
    value = f" {line.value:.0f}" if line.value is not None and line.unit is Unit.COUNT else ""
    return terminal_safe(f"{line.word} {line.area} {line.subject}{value} → {line.next}")
