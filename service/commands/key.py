"""The keys of machines."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from service.commands import store_access
from service.commands.output import Failed, print_table, say
from service.domain.people import KEY_PREFIX, ApiKey, Scope
from service.store.staff import accounts, audit

app = typer.Typer(help="The keys of machines that call the API.", no_args_is_help=True)


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    scope: Annotated[list[Scope], typer.Option(help="What it may do; give it several times.")],
) -> None:
    """Make a key and print its secret, once."""
    with store_access.one_transaction() as session:
        key, secret = accounts.add_key(session, name, scope)
        audit.write(
            session, store_access.WHO, "add", f"key:{key.id}", name=name, scopes=sorted(scope)
        )
    say(f"Key {key.id} ({key.name}): {secret}")


@app.command("list")
def list_() -> None:
    """List the keys, the newest first; their secrets cannot be shown again."""
    with store_access.one_transaction() as session:
        rows = [_row(key) for key in accounts.list_keys(session)]
    print_table(("Id", "Name", "Begins with", "Scopes", "Last used", "State"), rows)


@app.command()
def revoke(key_id: Annotated[int, typer.Argument(metavar="ID", help="As listed.")]) -> None:
    """End a key for good."""
    with store_access.one_transaction() as session:
        if accounts.find_key(session, key_id) is None:
            raise Failed(f"there is no key {key_id}")
        key = accounts.revoke_key(session, key_id, datetime.now(UTC))
        audit.write(session, store_access.WHO, "revoke", f"key:{key.id}")
    say(f"Key {key.id} ({key.name}) is revoked.")


def _row(key: ApiKey) -> tuple[object, ...]:
    last_use = f"{key.last_used_at:%Y-%m-%d %H:%M}" if key.last_used_at else "never"
    state = "revoked" if key.revoked_at else "active"
    return (
        key.id,
        key.name,
        f"{KEY_PREFIX}{key.prefix}_",
        ", ".join(sorted(key.scopes)),
        last_use,
        state,
    )
