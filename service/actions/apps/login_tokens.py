"""The short JWT by which a publisher's backend says who a reader is (RFC 7519)."""

from datetime import datetime, timedelta

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from service.actions.apps.app_names import SHORTEST_LOGIN_SECRET, is_public_key
from service.domain.errors import Forbidden, Invalid
from service.domain.people import check_external_id

LONGEST_LIFE = timedelta(hours=1)
"""From now to `exp`: a token that could be used for longer is refused."""
LONGEST_AUDIENCE = 100
SKEW = timedelta(seconds=30)
"""How far the backend's clock may be from ours."""


def check_login_key(login_key: str) -> None:
    """Raise `Invalid` for what is neither empty, a long secret nor a P-256 public key."""
    if not login_key:
        return
    if not is_public_key(login_key):
        if len(login_key) < SHORTEST_LOGIN_SECRET:
            raise Invalid("login_key", f"A secret has at least {SHORTEST_LOGIN_SECRET} characters.")
        return
    try:
        key = load_pem_public_key(login_key.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise Invalid("login_key", "This is no public key in PEM form.") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Invalid("login_key", "A P-256 (ES256) public key is needed.")


def read_external_id(token: str, login_key: str, app: str, now: datetime) -> str:
    """Return the person's id in a token that the app's backend signed; raises `Forbidden`.

    The algorithm follows from our key, never from the token.
    """
    algorithm = "ES256" if is_public_key(login_key) else "HS256"
    try:
        claims = jwt.decode(
            token,
            login_key,
            algorithms=[algorithm],
            audience=app,
            leeway=SKEW,
            options={"require": ["sub", "exp", "aud"]},
        )
        life = datetime.fromtimestamp(claims["exp"], now.tzinfo) - now
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, OSError):
        raise Forbidden(f"This token was not signed for a login in the app {app!r} now.") from None
    if life > LONGEST_LIFE + SKEW:
        raise Forbidden("This token lives for more than an hour: sign a short one at each login.")
    return check_external_id(claims["sub"])


def read_app(token: str) -> str:
    """Return for which app a token says it was signed (`aud`): which key is to prove it."""
    try:
        audience = jwt.decode(token, options={"verify_signature": False}).get("aud")
    except jwt.PyJWTError:
        audience = None
    if not isinstance(audience, str):
        raise Invalid("token", "A login is a signed JWT with `sub`, `exp`, and the app as `aud`.")
    return audience[:LONGEST_AUDIENCE]
