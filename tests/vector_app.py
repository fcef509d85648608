"""The endpoints that the vectors in tests/vectors/requests.json ask."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field

from apifrom import API, Cookie, Form, Header, Query

app = API(title="Vectors")
calls: list[str] = []


class User(BaseModel):
    name: str = Field(min_length=2, max_length=50)
    age: int = Field(ge=18, le=120)


@app.get("/items/{item_id}")
def item(item_id: int, q: str | None = None, limit: Annotated[int, Query(le=100)] = 10) -> dict:
    calls.append("item")
    return {"item_id": item_id, "q": q, "limit": limit}


@app.get("/flags")
async def flags(flag: bool, ratio: float) -> dict:
    calls.append("flags")
    return {"flag": flag, "ratio": ratio}


@app.get("/tags")
def tags(tag: list[int] = []) -> list[int]:  # noqa: B006 - never changed
    calls.append("tags")
    return tag


@app.get("/labels")
def labels(label: Annotated[list[str], Query(min_length=2, max_length=3)]) -> list[str]:
    calls.append("labels")
    return label


@app.get("/who")
def who(x_token: Annotated[str, Header()], session: Annotated[str | None, Cookie()] = None) -> dict:
    calls.append("who")
    return {"token": x_token, "session": session}


@app.get("/files/{*rest}")
def files(rest: str) -> dict:
    calls.append("files")
    return {"rest": rest}


@app.post("/users")
def create(user: User) -> dict:
    calls.append("users")
    return user.model_dump()


@app.post("/small", max_body_size=23)
async def small(user: User) -> dict:
    calls.append("small")
    return user.model_dump()


@app.post("/form")
def form(name: Annotated[str, Form()], age: Annotated[int, Form()]) -> dict:
    calls.append("form")
    return {"name": name, "age": age}


@app.get("/boom")
def boom() -> dict:
    calls.append("boom")
    raise RuntimeError("password is hunter2")
