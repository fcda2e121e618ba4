"""The command line within the test's own process, for tests of many commands: a process costs a second of work."""

import contextlib
import io
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from unittest.mock import patch

from support.cli import Cli, Result
from ticketops.cli.main import run


@dataclass(frozen=True, slots=True)
class CliHere(Cli):
    """As `Cli`, in its folder and with its variables; daemons and terminals are still processes."""

    def __call__(
        self, *words: object, env: Mapping[str, str] | None = None, text: str = "", full_disk: bool = False
    ) -> Result:
        assert not full_disk, "a full disk needs a process"
        out, err, handler = io.StringIO(), io.StringIO(), signal.getsignal(signal.SIGINT)
        with contextlib.ExitStack() as stack:
            stack.enter_context(patch.dict(os.environ, self.environment(env), clear=True))
            stack.enter_context(patch.object(sys, "stdin", io.StringIO(text)))
            stack.enter_context(contextlib.chdir(self.folder))
            stack.enter_context(contextlib.redirect_stdout(out))
            stack.enter_context(contextlib.redirect_stderr(err))
            stack.callback(signal.signal, signal.SIGINT, handler)
            code = run([str(word) for word in words])
        return Result(code, out.getvalue(), err.getvalue())
