"""upgrade."""

from __future__ import annotations

import sys
from typing import Any

import click

from circus_cg.cli.ctl.done import done
from circus_cg.cli.ctl.parameters import json_option
from circus_cg.cli.ctl.session import Session
from circus_cg.errors import CircusCgError, CommandRefused, ConfigError, HostError, NotRunning, TimedOut
from circus_cg.host import dirs
from circus_cg.keeper import door
from circus_cg.keeper.wire import Closed

LIMIT = 150.0  # seconds; each step has a limit of its own, all together less
ERRORS: dict[int, type[CircusCgError]] = {HostError.exit_status: HostError}


@click.command()
@json_option
@click.pass_obj
def upgrade(session: Session, json_: bool) -> None:
    """Go on with this installation's code and the configuration as it is now. Example: circus-cg ctl upgrade

    Workers that the changes don't concern stay as they are. What can't begin is taken back, and said.
    """
    session.here_only("upgrade", "its keeper is asked, and hears its own host alone; log in there")
    answer = _ask(session, {"op": "upgrade", "python": sys.executable})
    if "refused" in answer:
        text = str(answer["refused"])
        if answer["exit"] == ConfigError.exit_status:
            raise ConfigError(text.splitlines())
        raise ERRORS.get(answer["exit"], CommandRefused)(text)
    if "rolled_back" in answer:
        raise CommandRefused(
            f"cannot upgrade {session.name!r}: {answer['rolled_back']}; it was taken back: the daemon's log says more"
        )
    told: dict[str, Any] = answer["done"]
    for line in told["warnings"]:
        click.echo(f"circus-cg: warning: {line}", err=True)
    done(told, json_, f"upgraded to {told['version']}: keeper {told['keeper']}, {told['watchers']} watchers")


def _ask(session: Session, question: dict[str, Any]) -> dict[str, Any]:
    """Raises NotRunning, TimedOut, CommandRefused."""
    cannot = f"cannot upgrade {session.name!r}"
    try:
        if not dirs.is_locked(session.dirs):
            raise NotRunning(f"{cannot}: no daemon of that name is running; start it: circus-cg run CONFIG")
        return door.ask(str(session.dirs.keeper), question, LIMIT)
    except PermissionError as refused:
        raise NotRunning(f"{cannot}: {session.dirs.runtime} is another user's; become that user") from refused
    except OSError as failed:
        if isinstance(failed, TimeoutError):
            raise TimedOut(f"{cannot}: no answer within {LIMIT:g} s; the daemon's log says what it does") from failed
        raise CommandRefused(f"{cannot}: its keeper listens to nobody ({failed.strerror}); restart it") from failed
    except Closed as left:
        raise CommandRefused(f"{cannot}: its keeper gave no answer; the daemon's log says why") from left
