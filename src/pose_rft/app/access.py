"""Who may come in, and what browsers may load."""

import hashlib
import hmac
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pose_rft.storage import package_text

COOKIE = "pose_rft_access"
LOGIN_BYTES = 10_000
OPEN_PATHS = ("/healthz",)
# Everything comes from this server: no fonts, scripts or pictures from anywhere else, and nothing is reported.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; font-src 'self' data:; connect-src 'self' data: blob:; "
    "worker-src 'self' blob:; frame-ancestors 'self'; base-uri 'self'; form-action 'self'; object-src 'none'"
)
HEADERS = {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"}


class SafeHeaders:
    """Adds the headers that keep browsers from loading or telling anything elsewhere."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await self.app(scope, receive, send_with_headers)


class TokenGuard:
    """Lets nobody in without the token: ``Authorization: Bearer TOKEN``, or a cookie that /login gives for it."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self.app, self.token = app, token
        self.cookie = hashlib.sha256(f"cookie of {token}".encode()).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" or self._may_enter(scope):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            response = await self._answer(Request(scope, receive))
            await response(scope, receive, send)

    def _may_enter(self, scope: Scope) -> bool:
        if scope["path"] in OPEN_PATHS:
            return True
        if scope["path"] == "/login":
            return False
        kind, _, given = Headers(scope=scope).get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and same(given.strip(), self.token):
            return True
        return same(Request(scope).cookies.get(COOKIE, "") if scope["type"] == "http" else "", self.cookie)

    async def _answer(self, request: Request) -> Response:
        if request.url.path == "/login":
            return await self._login(request)
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("/login", 303)
        problem = "token missing or wrong; send the header 'Authorization: Bearer TOKEN'"
        return JSONResponse({"detail": problem}, 401, {"WWW-Authenticate": "Bearer"})

    async def _login(self, request: Request) -> Response:
        if request.method != "POST":
            return HTMLResponse(_login_page())
        body = b""
        async for part in request.stream():
            body += part
            if len(body) > LOGIN_BYTES:  # nobody has shown a token yet
                return HTMLResponse(_login_page("That is not the token."), 413)
        form = parse_qs(body.decode("utf-8", "replace"))
        if not same(form.get("token", [""])[0].strip(), self.token):
            return HTMLResponse(_login_page("That is not the token."), 401)
        response = RedirectResponse("/", 303)
        response.set_cookie(COOKIE, self.cookie, httponly=True, samesite="strict")
        return response


def _login_page(problem: str = "") -> str:
    return package_text(__package__, "login.html").replace("{problem}", problem)


def same(given: str, expected: str) -> bool:
    """Whether two secrets are equal, in a time that tells nothing of where they differ."""
    digests = (hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest() for text in (given, expected))
    return hmac.compare_digest(*digests)
