"""Alert rules that are no condition: asked for by `config check` alone, since compiling them loads a native module."""

from collections.abc import Iterator

from ticketops.config.problems import Problem
from ticketops.config.schema import Config
from ticketops.domain.alerts.rules import Rule, compiled
from ticketops.errors import ExpressionError


def check(config: Config) -> Iterator[Problem]:
    """Every rule that cannot be compiled, the switched off ones too, with the place of the mistake."""
    for name, options in config.alerts.rules.items():
        try:
            compiled(Rule(name=name, when=options.when))
        except ExpressionError as error:
            what = error.what.removeprefix(f"alert rule {name} ")
            yield Problem(f"alerts.rules.{name}.when {what}", why=error.why, hint=error.hint)
