"""Members of the newsroom: who may sign in."""

import secrets
from datetime import UTC, datetime
from typing import Annotated

import typer
from sqlmodel import Session

from service.commands import store_access
from service.commands.output import Failed, print_table, say
from service.domain.people import Role, Staff
from service.store.staff import accounts, audit

app = typer.Typer(help="Members of the newsroom: who may sign in.", no_args_is_help=True)
Email = Annotated[str, typer.Argument(help="E-mail address they sign in with.")]
Ask = Annotated[bool, typer.Option("--ask", help="Ask for the password; otherwise one is made.")]


@app.command()
def add(
    email: Email,
    role: Annotated[Role, typer.Option(help="What they may do.")] = Role.EDITOR,
    ask: Ask = False,
) -> None:
    """Add somebody and print their password, once."""
    password = _password(ask=ask)
    with store_access.one_transaction() as session:
        person = accounts.add_staff(session, email, password, role)
        audit.write(session, store_access.WHO, "add", f"staff:{person.id}", role=role)
    say(f"{person.email} is {role}." + ("" if ask else f" Password: {password}"))


@app.command("list")
def list_() -> None:
    """List everybody."""
    with store_access.one_transaction() as session:
        rows = [
            (person.email, person.role, "disabled" if person.disabled else "active")
            for person in accounts.list_staff(session)
        ]
    print_table(("E-mail", "Role", "State"), rows)


@app.command()
def disable(email: Email) -> None:
    """Shut somebody out at once; what they did keeps their name."""
    with store_access.one_transaction() as session:
        person = _require_staff(session, email)
        accounts.disable(session, person.id, datetime.now(UTC))
        audit.write(session, store_access.WHO, "disable", f"staff:{person.id}")
    say(f"{person.email} can no longer sign in.")


@app.command()
def reset(email: Email, ask: Ask = False) -> None:
    """Give somebody a new password and sign them out everywhere; let a disabled one in."""
    password = _password(ask=ask)
    with store_access.one_transaction() as session:
        person = _require_staff(session, email)
        accounts.set_password(session, person.id, password)
        accounts.enable(session, person.id)
        audit.write(session, store_access.WHO, "reset", f"staff:{person.id}")
    say(f"{person.email} has a new password." + ("" if ask else f" Password: {password}"))


def _password(*, ask: bool) -> str:
    if not ask:
        return secrets.token_urlsafe(12)
    password: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    return password


def _require_staff(session: Session, email: str) -> Staff:
    person = accounts.find_staff(session, email)
    if person is None:
        raise Failed(f"{email} is no member of staff")
    return person
