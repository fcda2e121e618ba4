"""From a share of the keys to all of them: what the roll-out's group has not handled must not be forgotten."""

from typing import Protocol

from ticketops.errors import RefusedError


class Rollout(Protocol):
    """The group that a roll-out has read with."""

    def left(self) -> int | None:
        """Records that it is behind the group that takes over; None where there was no roll-out."""

    def end(self) -> None:
        """Forget its offsets, unless somebody reads with it still."""


def end_rollout(rollout: Rollout, worker: str, *, told_where: bool) -> None:
    """Let the group itself begin; RefusedError while the roll-out's keys have records that nobody would handle.

    `told_where`: whoever starts it has said where it begins, and so what becomes of them.
    """
    left = rollout.left()
    if left is None:
        return
    if left and not told_where:
        raise RefusedError(
            "the roll-out is not at its end",
            why=f"its group is {left} records behind the one that takes over, which has left its keys alone",
            hint=f"first run ticketops worker {worker} --percentage N --drain, N being the roll-out's; or say --from",
        )
    rollout.end()


def rollout_group(group: str, percentage: int) -> str:
    """The group to read with: beside others that keep theirs, one of our own."""
    return group if percentage == 100 else f"{group}-ticketops"  # noqa: PLR2004 - all of a hundred
