"""``python -m tests.larder``: serve the shop, print its URL once it accepts connections.

SIGTERM and SIGINT stop it in order. When its parent dies the kernel kills it, so that a test run
which was killed leaves no server behind (Linux; elsewhere it must be stopped).
"""

from __future__ import annotations

import argparse
import copy
import ctypes
import os
import signal
import socket
import sys

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel for SIGKILL at the death of the parent; exit if that has happened already."""
    if sys.platform != "linux":
        return
    parent = os.getppid()
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("larder: the parent is gone")


def _listen(host: str, port: int) -> socket.socket:
    # TCP by name: asyncio sets TCP_NODELAY only on sockets that say so, and without it every
    # answer on a kept-alive connection waits 40 ms for the client's delayed acknowledgement.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    return listener


def main() -> None:
    """Read the command line and serve until told to stop."""
    die_with_parent()
    parser = argparse.ArgumentParser(prog="python -m tests.larder", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    parser.add_argument("--database", metavar="URL", help="such as sqlite:///larder.sqlite3")
    options = parser.parse_args()

    # After die_with_parent(), for these take their time.
    import uvicorn

    from tests.larder.app import create_app
    from tests.larder.settings import InvalidSetting, Settings

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            sys.stdout.write(f"{url}\n")
            sys.stdout.flush()

    try:
        listener = _listen(options.host, options.port)
    except OSError as error:
        sys.exit(f"larder: cannot listen on {options.host}:{options.port}: {error.strerror}")
    host, port = listener.getsockname()[:2]
    url = f"http://{host}:{port}"
    environment = {"LARDER_PUBLIC_URL": url, **os.environ}
    if options.database:
        environment["LARDER_DATABASE_URL"] = options.database
    try:
        app = create_app(Settings.from_environment(environment))
    except InvalidSetting as error:
        listener.close()
        sys.exit(f"larder: {error}")
    # Standard output is for the URL alone: its reader may never read on.
    log = copy.deepcopy(uvicorn.config.LOGGING_CONFIG)
    log["handlers"]["access"]["stream"] = "ext://sys.stderr"
    config = uvicorn.Config(
        app,
        log_config=log,
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=2,
    )
    Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
