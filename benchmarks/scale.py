"""How large a run is."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Scale:
    """The whole run, or a quick look."""

    quick: bool
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Sizes that were asked for by name."""

    def of(self, whole: int, quick: int, name: str = "") -> int:
        """The size for this run; with a name it can be asked for."""
        return self.sizes.get(name, quick if self.quick else whole)

    @property
    def rounds(self) -> int:
        """How often each measurement is repeated, interleaved with its peers."""
        return self.of(3, 1)
