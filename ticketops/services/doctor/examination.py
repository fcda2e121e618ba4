"""Everything that is examined, side by side, with a time-out for each part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ticketops.domain.findings import Finding, unanswered, worst_first
from ticketops.domain.lag.verdicts import Grade
from ticketops.services.side_by_side import Question, ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What was found."""

    findings: tuple[Finding, ...]
    """The worst first."""
    unreachable: bool
    """A part could not be asked."""

    @property
    def wrong(self) -> bool:
        """True where something is not as it should be, or a right is missing."""
        return any(finding.grade is not Grade.OK for finding in self.findings)

    @property
    def menders(self) -> tuple[str, ...]:
        """What would set right what can be set right here, each once."""
        return tuple(dict.fromkeys(finding.mender for finding in self.findings if finding.mender))


def examine(parts: Mapping[str, Question], timeout: float) -> Examination:
    """Ask every part for its findings; at most `timeout` seconds and a tenth.

    A part that does not answer is a finding of its own. Its name begins with its area.
    """
    findings: list[Finding] = []
    unreachable = False
    for name, answer in ask(parts, timeout).items():
        if answer.ok:
            findings += _listed(answer.value)
        else:
            findings.append(unanswered(name, answer.error, answer.hint, denied=answer.denied))
            unreachable = unreachable or answer.unreachable
    return Examination(findings=worst_first(findings), unreachable=unreachable)


def _listed(value: object) -> Sequence[Finding]:
    return [one for one in value if isinstance(one, Finding)] if isinstance(value, list) else []
