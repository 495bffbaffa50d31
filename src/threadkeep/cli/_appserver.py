"""``threadkeep app-server``."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

import click

from threadkeep.cli import _starting
from threadkeep.cli._options import example

if TYPE_CHECKING:
    from collections.abc import Iterator

    from threadkeep.appserver._auth import Guard
    from threadkeep.appserver._listening import Address
    from threadkeep.cli._session import Session

__all__ = ["app_server"]


@click.command(
    "app-server",
    epilog=example(
        "threadkeep app-server --listen ws://127.0.0.1:4500",
        "codex --remote ws://127.0.0.1:4500",
    ),
)
@click.option(
    "--listen",
    metavar="URL",
    default="stdio://",
    show_default=True,
    help="Where clients connect: stdio://, ws://IP:PORT (port 0: any that is free), unix://PATH, or unix:// for a "
    "socket in the home.",
)
@click.option("--stdio", is_flag=True, help="The same as --listen stdio://.")
@click.option(
    "-c",
    "--config",
    "given",
    metavar="KEY=VALUE",
    multiple=True,
    help="A setting in place of the one in the home's config.toml: a dotted key and a value in TOML, or a plain text. "
    "May also stand before the command.",
)
@click.option(
    "--ws-auth",
    type=click.Choice(["capability-token"]),
    help="Ask WebSocket clients for a bearer token. Needed to listen on an address that other machines reach.",
)
@click.option("--ws-token-file", metavar="PATH", help="A file that holds the token.")
@click.option("--ws-token-sha256", metavar="HEX", help="SHA-256 of the token, instead of a file.")
@click.option(
    "--allow-origin",
    "origins",
    metavar="ORIGIN",
    multiple=True,
    help="Let web pages of this origin connect, like https://example.org. Without it none may.",
)
@click.pass_obj
def app_server(
    session: Session,
    listen: str,
    stdio: bool,
    given: tuple[str, ...],
    ws_auth: str | None,
    ws_token_file: str | None,
    ws_token_sha256: str | None,
    origins: tuple[str, ...],
) -> int | None:
    """Serve the Codex app-server protocol.

    Codex's own clients work on the threads of the home: the Python SDK (stdio) and the terminal interface
    (codex --remote URL). A server ends when its client does (stdio), or on SIGTERM: appends are finished, running turns
    end as interrupted. ws:// and unix:// need the extra threadkeep[server].
    """
    overrides = _starting.overrides(given)
    if overrides is None:
        raise click.BadParameter("a setting is KEY=VALUE", param_hint="--config")
    home = session.home
    if os.path.lexists(home) and not os.path.isdir(home):
        raise click.UsageError(f"{home} is no folder")
    address = _address("stdio://" if stdio else listen, home)
    guard = _guard(address, ws_auth, ws_token_file, ws_token_sha256, origins)
    if address.kind == "stdio":
        from threadkeep.appserver._entry import serve_stdio

        return serve_stdio(home, overrides)
    _serve_sockets(home, overrides, address, guard)
    return None


def _address(url: str, home: str) -> Address:
    from threadkeep.appserver import _listening

    try:
        return _listening.parse(url, home)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--listen") from error


def _guard(address: Address, mode: str | None, file: str | None, digest: str | None, origins: tuple[str, ...]) -> Guard:
    from threadkeep.appserver import _auth

    if (file is None) == (digest is None) and (mode is not None or file is not None):
        raise click.UsageError("name one of --ws-token-file and --ws-token-sha256")
    if mode is None and (file is not None or digest is not None):
        raise click.UsageError("a token is asked for with --ws-auth capability-token")
    if mode is None and address.kind == "ws" and not _auth.is_loopback(address.host):
        raise click.UsageError(f"{address.host} is reached from other machines: add --ws-auth capability-token")
    try:
        token = _auth.digest_of_file(file) if file is not None else None
        token = _auth.digest_of_hex(digest) if digest is not None else token
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    return _auth.Guard(token=token, origins=origins)


def _serve_sockets(home: str, overrides: list[tuple[str, str]], address: Address, guard: Guard) -> None:
    with _needing_the_extra():
        from threadkeep.appserver._websocket import Listener
    from threadkeep.appserver import _listening
    from threadkeep.appserver._server import Server

    server = Server(home, overrides=overrides)
    wrong = server.wrong_overrides()
    if wrong is not None:
        raise click.BadParameter(wrong, param_hint="--config")
    with _listening.listening(address) as socket:
        lines = ["threadkeep app-server", f"  listening on: unix://{address.path}"]
        if address.kind == "ws":
            host, port = socket.getsockname()[:2]
            place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            lines[1] = f"  listening on: ws://{place}"
            lines += [f"  {probe}: http://{place}/{probe}" for probe in ("readyz", "healthz")]
        Listener(server, guard).run(socket, lambda: click.echo("\n".join(lines), err=True))


@contextlib.contextmanager
def _needing_the_extra() -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "websockets":
            raise
        raise click.UsageError("ws:// and unix:// need the extra: pip install 'threadkeep[server]'") from error
