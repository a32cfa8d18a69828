"""Login over JSON: a reader's device joins a person of the publisher's, or leaves it again."""

from typing import Annotated

from fastapi import Response
from pydantic import Field

from service.actions.apps import logins as login_actions
from service.api.readers import NO_STORE, ReaderShown, reader_shown
from service.http.api_document import Router
from service.http.auth import CurrentReader, ReaderTokenHash
from service.http.dependencies import Closed, SettingsDep, WorkDep

router = Router(prefix="/api/me", tags=["readers"])


class LoginBody(Closed):
    """What the publisher's backend signed for its reader."""

    token: Annotated[str, Field(min_length=1, max_length=4096)] = Field(
        description="A JWT by HS256 or ES256 with the app's login key: `sub` is the person's id "
        "at the publisher, `aud` the app's name, `exp` at most an hour ahead."
    )


class LoginShown(ReaderShown):
    """The reader as it is now."""

    token: str | None = Field(
        None,
        exclude_if=lambda value: value is None,
        description="The reader's token from now on, where the person had a reader already.",
    )


@router.post("/login")
def log_in(
    work: WorkDep,
    settings: SettingsDep,
    reader: CurrentReader,
    token_hash: ReaderTokenHash,
    body: LoginBody,
    response: Response,
) -> LoginShown:
    """Join this device to a person: follows are united, the person's own settings win."""
    login = login_actions.log_in(work, settings.seal_keys, reader, token_hash, body.token)
    response.headers.update(NO_STORE)
    shown = reader_shown(login.reader, results=settings.results_by_default)
    return LoginShown(**dict(shown), token=login.token)


@router.post("/logout")
def log_out(
    work: WorkDep,
    settings: SettingsDep,
    reader: CurrentReader,
    token_hash: ReaderTokenHash,
    response: Response,
) -> ReaderShown:
    """Make this device anonymous again: the token stays, and follows nothing."""
    response.headers.update(NO_STORE)
    anonymous = login_actions.log_out(work, reader, token_hash)
    return reader_shown(anonymous, results=settings.results_by_default)
