"""The least a FastAPI service can do that keeps something: one insert. The API's reference."""

import os
from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, FastAPI
from sqlalchemy import text
from sqlmodel import Session

from service.store.session import open_engine

app = FastAPI()
engine = open_engine(os.environ["DATABASE_URL"])


def session() -> Iterator[Session]:
    with Session(engine) as opened:
        yield opened


@app.post("/insert", status_code=201)
def insert(own: Annotated[Session, Depends(session, scope="function")]) -> dict[str, int]:
    row = own.execute(text("INSERT INTO bench_bare (at) VALUES (now()) RETURNING id")).one()
    own.commit()
    return {"id": row.id}
