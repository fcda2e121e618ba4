"""How large a run is."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """The whole run, or a quick look."""

    quick: bool

    def of(self, whole: int, quick: int) -> int:
        """The size for this run."""
        return quick if self.quick else whole

    @property
    def rounds(self) -> int:
        """How often each measurement is repeated, interleaved with its peers."""
        return self.of(3, 1)
