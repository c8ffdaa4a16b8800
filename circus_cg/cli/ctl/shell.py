"""`circus-cg ctl shell`: verbs typed one after the other, with completion and a history."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from contextlib import suppress
from pathlib import Path

import click
from click.shell_completion import ShellComplete

from circus_cg import xdg
from circus_cg.errors import CircusCgError

try:
    import readline
except ImportError:  # a Python that was built without it
    readline = None  # type: ignore[assignment]

KEPT = 1000  # lines of history
SECRET = ("env", "env.", "secret", "token", "passw")  # what may hold one is not kept


@click.command()
@click.pass_context
def shell(context: click.Context) -> None:
    """Type verbs one after the other; Tab completes, `exit` or Ctrl-D ends. Example: circus-cg ctl shell

    Lines that may hold a secret (options of `env`), or begin with a blank, are not kept in the history.
    """
    above = context.parent
    assert above is not None
    signal.signal(signal.SIGINT, signal.default_int_handler)  # it ends a line or a verb, not the shell
    history = _History()
    terminal = sys.stdin.isatty()
    if terminal and readline is not None:
        readline.set_completer_delims(" \t\n")
        readline.set_completer(_Completer(above).complete)
        readline.parse_and_bind("tab: complete")
    prompt = f"{above.obj.name}> " if terminal else ""
    while True:
        try:
            line = input(prompt)
            history.keep(line)
            if line.strip() in ("exit", "logout"):
                break
            run_line(above, line, sure=not terminal)
        except EOFError:
            break
        except KeyboardInterrupt:
            click.echo()


def run_line(above: click.Context, line: str, *, sure: bool) -> None:
    """One verb with its arguments; whatever goes wrong is told, and the shell goes on."""
    try:
        words = shlex.split(line)
    except ValueError as wrong:
        click.echo(f"circus-cg: cannot read this line: {wrong}", err=True)
        return
    if not words:
        return
    group = above.command
    assert isinstance(group, click.Group)
    try:
        if words == ["help"]:
            click.echo(group.get_help(above))
            return
        verb, command, arguments = group.resolve_command(above, words)
        assert command is not None
        if verb == "shell":
            raise click.UsageError("this is the shell")
        if verb == "quit" and not sure:
            click.confirm("Stop every watcher, then the daemon? (`exit` leaves the shell)", abort=True)
        with command.make_context(verb, arguments, parent=above) as context:
            command.invoke(context)
    except CircusCgError as refused:
        for text in str(refused).splitlines():
            click.echo(f"circus-cg: {text}", err=True)
    except click.ClickException as wrong:
        wrong.show()
    except (click.exceptions.Exit, click.Abort):
        pass


class _Completer:
    """Words as the shell's completion script would get them."""

    def __init__(self, above: click.Context) -> None:
        self._complete = ShellComplete(above.command, {"obj": above.obj}, "circus-cg", "")
        self._found: list[str] = []

    def complete(self, text: str, state: int) -> str | None:
        if state == 0:
            before = readline.get_line_buffer()[: readline.get_begidx()]
            try:
                self._found = [item.value for item in self._complete.get_completions(shlex.split(before), text)]
            except (ValueError, click.ClickException):
                self._found = []
        return f"{self._found[state]} " if state < len(self._found) else None


class _History:
    """In a file of this user's alone; without readline, or a terminal, there is none."""

    def __init__(self) -> None:
        own = xdg.directory(os.environ, "XDG_STATE_HOME", f"{Path.home()}/.local/state")
        self._path = Path(own) / "circus-cg" / "history"
        self._kept = sys.stdin.isatty() and readline is not None
        if not self._kept:
            return
        readline.set_auto_history(False)
        with suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
            self._path.chmod(0o600)
            readline.read_history_file(self._path)
            readline.set_history_length(KEPT)

    def keep(self, line: str) -> None:
        if not self._kept or is_secret(line):
            return
        readline.add_history(line)
        with suppress(OSError):
            readline.append_history_file(1, self._path)


def is_secret(line: str) -> bool:
    return line[:1].isspace() or any(word in line.casefold() for word in SECRET)
