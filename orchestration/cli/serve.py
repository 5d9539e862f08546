"""`glasshouse serve`: the portal on this machine's loopback address, until it is interrupted.

Must not be here: pages (`orchestration/portal/`). There is no option for another address: for others, put a
proxy that ends TLS before it, and say its address in the setting `portal_url`.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Annotated

import typer

from orchestration.cli.console import err
from orchestration.cli.options import CollaborationOption, only_collaboration
from orchestration.cli.signing_options import KeyOption, PassphraseOption, private_key
from orchestration.errors import Reason, ServiceError
from orchestration.settings import load_settings
from orchestration.stages import login

PORT_IN_USE = Reason(
    "serve.port_in_use",
    "Port {port} of 127.0.0.1 is not free.",
    "Stop what uses it, or choose another with --port; 0 takes any free one.",
)

_HOST = "127.0.0.1"


def serve(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0: any free one.")] = 8321,
    *,
    member: Annotated[
        str | None, typer.Option("--as", help="Enter as this member, with its key; else sign in there.")
    ] = None,
    key: KeyOption = None,
    passphrase_file: PassphraseOption = None,
    collaboration: CollaborationOption = None,
) -> None:
    """Show overview, governance, lineage and log in the browser (read-only, this machine only)."""
    import uvicorn

    from orchestration.house import House
    from orchestration.portal import create_app
    from orchestration.portal.sessions import Sessions

    with House.opened(load_settings()) as house, _listening(port) as listener:
        sessions = Sessions()
        address = f"http://{_HOST}:{listener.getsockname()[1]}/"
        if member is not None:
            chosen = only_collaboration(house, collaboration)
            entered = login.enter_with_key(
                house, chosen, member, private_key(house, chosen, member, key, passphrase_file)
            )
            address = f"{address}enter/{sessions.offer(entered)}"
        err.print(f"Glasshouse portal on [bold]{address}[/]", soft_wrap=True)
        if house.settings.portal_url is not None:
            err.print(f"others reach it at {house.settings.portal_url}", soft_wrap=True)
        if member is None and not login.is_any_enabled(house):
            err.print(
                "nobody has a login yet; enter with a key: glasshouse serve --as MEMBER", soft_wrap=True
            )
        err.print("[dim]read-only; stop with Ctrl-C[/]")
        config = uvicorn.Config(
            create_app(house, sessions, house.settings.portal_url),
            log_level="warning",
            access_log=False,
            server_header=False,
            lifespan="off",
        )
        with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again after a clean stop
            uvicorn.Server(config).run(sockets=[listener])


@contextlib.contextmanager
def _listening(port: int) -> Iterator[socket.socket]:
    """A bound socket. Raises: ServiceError (`serve.port_in_use`)."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_HOST, port))
            listener.listen()  # the address is printed next, and has to be true by then
        except OSError as error:
            raise ServiceError(PORT_IN_USE, port=port) from error
        yield listener
