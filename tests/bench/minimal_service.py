"""A minimal FastAPI service with one insert: the reference of the API."""

import os
from collections.abc import Iterator
from typing import Annotated

from fastapi import Depends, FastAPI
from sqlalchemy import text
from sqlmodel import Session

from service.store.session import open_engine

app = FastAPI()
engine = open_engine(os.environ["DATABASE_URL"])


def open_session() -> Iterator[Session]:
    with Session(engine) as session:
        yield session


@app.post("/insert", status_code=201)
def insert(session: Annotated[Session, Depends(open_session, scope="function")]) -> dict[str, int]:
    row = session.execute(text("INSERT INTO bench_bare (at) VALUES (now()) RETURNING id")).one()
    session.commit()
    return {"id": row.id}
