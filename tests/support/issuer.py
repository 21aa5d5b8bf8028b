"""A homeserver with an authorization server, both fake, and the browser that talks to them.

    with Issuer() as issuer:
        client = host.client(issuer.url)

It keeps to the rules: PKCE, one use of each code, rotation of refresh tokens. What `lie` returns
for a path replaces the true answer.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from tests.support.web_server import Answer, Received, WebServer

Json = dict[str, Any]
Reply = tuple[int, Json | bytes]
Lie = Callable[[str, Json], Reply | None]

USER = "@alice:issuer.test"
_DEVICE_SCOPE = "urn:matrix:client:device:"
_DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"


class Issuer(WebServer):
    """Runs while the `with` block does; `asked` is what it was asked, path and fields."""

    def __init__(self, lie: Lie | None = None, lifetime: int = 3600) -> None:
        super().__init__()
        self.asked: list[tuple[str, Json]] = []
        self.lie = lie or (lambda path, fields: None)
        self.lifetime = lifetime
        self.interval = 1
        self.pending = 1
        self.clients: dict[str, Json] = {}
        self.codes: dict[str, Json] = {}
        self.access: dict[str, str] = {}
        self.refresh: dict[str, str] = {}
        self.revoked: list[str] = []
        self._lock = threading.Lock()

    # -- the server ---------------------------------------------------------------------------

    def respond(self, request: Received) -> Answer:
        """One request."""
        path, text = request.parts.path, request.body.decode()
        is_json = request.headers.get("content-type") == "application/json"
        fields: Json = json.loads(text or "{}") if is_json else dict(parse_qsl(text))
        fields |= dict(parse_qsl(request.parts.query))
        with self._lock:
            self.asked.append((path, fields))
            lied = self.lie(path, fields)
            token = request.headers.get("authorization", "").removeprefix("Bearer ")
            status, body = lied if lied is not None else self._route(path, fields, token)
        return Answer(body, status)

    def _route(self, path: str, fields: Json, token: str) -> Reply:
        if path == "/_matrix/client/versions":
            return 200, {"versions": ["v1.15"]}
        if path == "/_matrix/client/v1/auth_metadata":
            return 200, self.metadata()
        if path == "/_matrix/client/v3/account/whoami":
            if token not in self.access:
                return 401, {"errcode": "M_UNKNOWN_TOKEN", "error": "gone", "soft_logout": True}
            return 200, {"user_id": USER, "device_id": self.access[token]}
        route = getattr(self, "_" + path.strip("/"), None)
        return route(fields) if route else (404, {"errcode": "M_UNRECOGNIZED", "error": "what?"})

    def metadata(self) -> Json:
        """The truth about the authorization server."""
        return {
            "issuer": f"{self.url}/",
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "registration_endpoint": f"{self.url}/register",
            "revocation_endpoint": f"{self.url}/revoke",
            "device_authorization_endpoint": f"{self.url}/device",
            "response_types_supported": ["code"],
            "response_modes_supported": ["query", "fragment"],
            "grant_types_supported": ["authorization_code", "refresh_token", _DEVICE_GRANT],
            "code_challenge_methods_supported": ["S256"],
        }

    def _register(self, fields: Json) -> Reply:
        client_id = secrets.token_hex(8)
        self.clients[client_id] = fields
        return 201, {**fields, "client_id": client_id}

    def _device(self, fields: Json) -> Reply:
        code = secrets.token_hex(8)
        self.codes[code] = {**fields, "pending": self.pending}
        return 200, {
            "device_code": code,
            "user_code": "WDJB-MJHT",
            "verification_uri": f"{self.url}/link",
            "verification_uri_complete": f"{self.url}/link?code=WDJB-MJHT",
            "expires_in": 600,
            "interval": self.interval,
        }

    def _revoke(self, fields: Json) -> Reply:
        self.revoked.append(fields["token_type_hint"])
        self.access.pop(fields["token"], None)
        self.refresh.pop(fields["token"], None)
        return 200, b""

    def _token(self, fields: Json) -> Reply:
        if fields["grant_type"] == "refresh_token":
            device = self.refresh.pop(fields["refresh_token"], None)
        elif fields["grant_type"] == _DEVICE_GRANT:
            known = self.codes[fields["device_code"]]
            known["pending"] -= 1
            if known["pending"] >= 0:
                return 400, {"error": "authorization_pending"}
            device = _device_of(known["scope"])
        else:
            device = self._redeem(fields)
        if device is None:
            return 400, {"error": "invalid_grant", "error_description": "no\nsuch grant"}
        access, refresh = secrets.token_urlsafe(16), secrets.token_urlsafe(16)
        self.access[access], self.refresh[refresh] = device, device
        return 200, {
            "access_token": access,
            "refresh_token": refresh,
            "token_type": "Bearer",
            "expires_in": self.lifetime,
            "scope": f"urn:matrix:client:api:* {_DEVICE_SCOPE}{device}",
        }

    def _redeem(self, fields: Json) -> str | None:
        known = self.codes.pop(fields["code"], None)
        if known is None:
            return None
        digest = hashlib.sha256(fields["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        same = all(known[key] == fields[key] for key in ("client_id", "redirect_uri"))
        right = same and known["code_challenge"] == challenge
        return _device_of(known["scope"]) if right else None

    # -- the browser --------------------------------------------------------------------------

    def approve(self, url: str, **changed: str) -> tuple[int, str]:
        """What the user's browser does: says yes, and goes back; `changed` of what it brings."""
        fields = {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}
        assert fields["response_type"] == "code" and fields["response_mode"] == "query"
        assert fields["code_challenge_method"] == "S256" and len(fields["state"]) >= 32
        code = secrets.token_hex(8)
        self.codes[code] = fields
        brought = {"code": code, "state": fields["state"], "iss": f"{self.url}/"} | changed
        return browse(f"{fields['redirect_uri']}?{urlencode(brought)}")


def _device_of(scope: str) -> str:
    [device] = [s for s in scope.split() if s.startswith(_DEVICE_SCOPE)]
    assert "urn:matrix:client:api:*" in scope.split()
    return device.removeprefix(_DEVICE_SCOPE)


def browse(url: str, **options: Any) -> tuple[int, str]:
    """GETs a page without a proxy; gives its status and text."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(url, **options)
    try:
        with opener.open(request, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
