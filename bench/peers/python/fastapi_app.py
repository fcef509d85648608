"""The FastAPI contender: pydantic models and return annotations, as its tutorial teaches.

The measured handlers are ``async def`` with a model as return annotation: FastAPI sends a ``def``
to a thread, and a plain ``dict`` through a slower encoder, both of which would cost it more.
"""

import os
import sqlite3
import time
from typing import Annotated

import jwt
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, EmailStr, Field, field_validator

SPECIAL_CHARACTERS = frozenset("!@#$%^&*()_+-=[]{}|;:,.<>?/")

app = FastAPI()
computing: list[int] = []


class Greeting(BaseModel):
    """What ``/hello`` answers."""

    message: str


class Caller(BaseModel):
    """What ``/me`` answers."""

    sub: str


class NewUser(BaseModel):
    """What ``/users`` accepts."""

    name: Annotated[str, Field(min_length=2, max_length=50)]
    email: EmailStr
    age: Annotated[int, Field(ge=18, le=120)]
    password: Annotated[str, Field(min_length=8)]

    @field_validator("password")
    @classmethod
    def password_strength(cls, value: str) -> str:
        """Ask for upper case, lower case, a digit and a special character."""
        if not any(character.isupper() for character in value):
            raise ValueError("password must contain an upper-case letter")
        if not any(character.islower() for character in value):
            raise ValueError("password must contain a lower-case letter")
        if not any(character.isdigit() for character in value):
            raise ValueError("password must contain a digit")
        if not any(character in SPECIAL_CHARACTERS for character in value):
            raise ValueError("password must contain a special character")
        return value


class User(BaseModel):
    """What ``/users`` answers."""

    id: int
    name: str
    email: str
    age: int


@app.get("/")
async def root() -> dict[str, str]:
    """Say that the server is up."""
    return {"status": "ok"}


@app.get("/hello/{name}")
async def hello(name: str) -> Greeting:
    """Greet by name."""
    return Greeting(message=f"Hello, {name}!")


@app.post("/users")
async def create_user(user: NewUser) -> User:
    """Accept a valid user."""
    return User(id=123, name=user.name, email=user.email, age=user.age)


SECRET = "the bench's secret of more than thirty-two bytes"
bearer = HTTPBearer()


async def caller(
    credentials: Annotated[HTTPAuthorizationCredentials, Depends(bearer)],
) -> dict[str, str]:
    """Verify the token, as the tutorial of FastAPI does with PyJWT."""
    try:
        return jwt.decode(credentials.credentials, SECRET, algorithms=["HS256"])
    except jwt.InvalidTokenError:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"}) from None


@app.get("/me")
async def me(claims: Annotated[dict[str, str], Depends(caller)]) -> Caller:
    """Tell the caller who it is."""
    return Caller(sub=claims["sub"])


class Person(BaseModel):
    """What ``/people`` answers."""

    id: int
    name: str
    email: str
    age: int


people = sqlite3.connect(os.environ["BENCH_DATABASE"])


@app.get("/people/{number}")
async def person(number: int) -> Person:
    """Look a person up, on the loop's own thread: a ``def`` would cost more."""
    query = "SELECT id, name, email, age FROM people WHERE id = ?"
    row = people.execute(query, (number,)).fetchone()
    if row is None:
        raise HTTPException(404)
    return Person(id=row[0], name=row[1], email=row[2], age=row[3])


@app.get("/sleep/{milliseconds}")
def sleep(milliseconds: int) -> dict[str, int]:
    """Block a worker thread without computing."""
    time.sleep(milliseconds / 1000)
    return {"slept": milliseconds}


@app.get("/compute/{seconds}")
def compute(seconds: int) -> dict[str, int]:
    """Compute in pure Python for as long as a run may last."""
    computing.append(seconds)
    end = time.monotonic() + seconds
    steps = 0
    while time.monotonic() < end:
        for number in range(10_000):
            steps += number & 1
    computing.pop()
    return {"steps": steps}


@app.get("/computing")
async def computing_calls() -> dict[str, int]:
    """Tell how many calls are computing."""
    return {"running": len(computing)}


@app.post("/upload")
async def upload(request: Request) -> dict[str, int]:
    """Count the bytes of a body without keeping them."""
    count = 0
    async for chunk in request.stream():
        count += len(chunk)
    return {"bytes": count}
