"""Alert rules that are no condition: asked for by `config check` alone, since compiling them loads a native module.

Those that come with TicketOps are known to be conditions: where there are no others, nothing is loaded.
"""

from collections.abc import Iterator

from ticketops.config.problems import Problem
from ticketops.config.schema import Config
from ticketops.domain.alerts.rules import Rule, compiled
from ticketops.errors import ExpressionError
from ticketops.options import AlertsOptions


def check(config: Config) -> Iterator[Problem]:
    """Every rule that cannot be compiled, the switched off ones too, with the place of the mistake."""
    ours = {options.when for options in AlertsOptions().rules.values()}
    for name, options in config.alerts.rules.items():
        if options.when in ours:
            continue
        try:
            compiled(Rule(name=name, when=options.when))
        except ExpressionError as error:
            what = error.what.removeprefix(f"alert rule {name} ")
            yield Problem(f"alerts.rules.{name}.when {what}", why=error.why, hint=error.hint)
