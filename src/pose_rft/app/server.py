"""``pose-rft serve``: page and API in one process."""

import contextlib
import ipaddress
import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator

import uvicorn
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline
from starlette.middleware.trustedhost import TrustedHostMiddleware

from pose_rft.app.access import SafeHeaders, TokenGuard
from pose_rft.app.api import add_problem_handlers, api_routes
from pose_rft.app.limits import Limits
from pose_rft.app.worker import PoseWorker
from pose_rft.errors import UserError, reason_of
from pose_rft.policy import PosePolicy

LOOPBACK_NAMES = ["localhost", "127.0.0.1", "[::1]"]
DESCRIPTION = (
    "Words or a picture in; words and 3D human poses (SMPL, 22 joints) out. Angles are radians, lengths metres."
)


def create_app(
    policy: PosePolicy, limits: Limits | None = None, token: str | None = None, with_page: bool = True
) -> FastAPI:
    """Page and API of a policy, as an ASGI application. Its worker runs from now until the application's shutdown.

    Args:
        policy: belongs to the application from here on.
        token: ask for it everywhere but at /healthz; None answers requests for loopback names only.
        with_page: False leaves the chat page out.
    """
    limits = limits or Limits()
    worker = PoseWorker(policy, limits)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        worker.close()

    app = FastAPIOffline(
        title="Pose-RFT", description=DESCRIPTION, redoc_url=None, lifespan=lifespan, max_body_size=limits.body_bytes
    )
    app.state.worker, app.state.on_closing = worker, []
    app.include_router(api_routes(worker))
    add_problem_handlers(app)
    if token:
        app.add_middleware(TokenGuard, token=token)
    else:  # a page elsewhere must not reach this server under a name of its own (DNS rebinding)
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK_NAMES)
    app.add_middleware(SafeHeaders)
    if with_page:
        from pose_rft.app.page import mount_page

        mount_page(app, worker)
    return app


def listen(host: str, port: int, token: str | None) -> socket.socket:
    """Take the port, before the policy is loaded.

    Raises:
        UserError: a host that others can reach without a token, an unknown host, a port that is taken.
    """
    if not token and not is_loopback(host):
        raise UserError(
            f"serve on {host}: others can reach it, so it needs a token; set POSE_RFT_TOKEN to a long random word"
        )
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family, backlog=512)
    except (OSError, OverflowError, UnicodeError) as error:
        raise UserError(f"serve on {host}:{port}: {reason_of(error)}; choose another --host or --port") from error


def addresses(host: str, listener: socket.socket) -> list[str]:
    """The URLs that open a server; where it listens on every interface, this machine's name for itself and its own."""
    bound, port = listener.getsockname()[:2]
    hosts = [host]
    if ipaddress.ip_address(bound).is_unspecified:  # 0.0.0.0 and :: are no places that a browser can go to
        is_v6 = listener.family == socket.AF_INET6
        outside = _address_towards("2001:db8::1" if is_v6 else "192.0.2.1", listener.family)
        hosts = ["::1" if is_v6 else "127.0.0.1", *([outside] if outside else [])]
    return [f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}" for name in dict.fromkeys(hosts)]


def _address_towards(elsewhere: str, family: socket.AddressFamily) -> str | None:
    """The address under which others see this machine; None without a network. Nothing is sent."""
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((elsewhere, 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a server that is bound to ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@contextlib.contextmanager
def private_cache() -> Iterator[None]:
    """A folder of this process's own for the page's files, gone when the block ends."""
    with tempfile.TemporaryDirectory(prefix="pose-rft-page-") as directory:
        os.environ |= {"GRADIO_TEMP_DIR": directory, "GRADIO_ANALYTICS_ENABLED": "False"}
        yield


def serve(app: FastAPI, listener: socket.socket, on_ready: Callable[[], None]) -> None:
    """Answer until SIGTERM or Ctrl-C; then finish what is in flight."""
    limits: Limits = app.state.worker.limits
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(limits.answer_seconds) + 5,
    )
    # uvicorn raises a signal that it heeded once more when it has ended; by then there is nothing left to interrupt.
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        _Server(config, on_ready).run(sockets=[listener])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Open pages hold a connection each, which has to end before the rest can be waited for."""
        app = self.config.app
        assert isinstance(app, FastAPI)
        for close in app.state.on_closing:
            close()
        await super().shutdown(sockets)
