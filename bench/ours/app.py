"""The throughput contender: both kinds of handler, and a validated body."""

import logging
import os
from typing import Annotated

from pydantic import BaseModel, EmailStr, Field, field_validator

from apifrom import API, api
from apifrom.database import Database
from apifrom.middleware import (
    CORSMiddleware,
    RateLimitMiddleware,
    SecurityHeadersMiddleware,
)
from apifrom.security import jwt_required

SPECIAL_CHARACTERS = frozenset("!@#$%^&*()_+-=[]{}|;:,.<>?/")

app = API(title="bench")
db = Database(f"sqlite:///{os.environ['BENCH_DATABASE']}")
if os.environ.get("BENCH_SURROUNDED") == "1":
    app.add_middleware(
        CORSMiddleware(
            allow_origins=["https://page.example"],
            allow_methods=["GET", "POST"],
            allow_headers=["authorization"],
            allow_credentials=True,
        )
    )
    app.add_middleware(SecurityHeadersMiddleware())
    # A limit that no round reaches.
    app.add_middleware(RateLimitMiddleware(limit=1_000_000_000, window=1))


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


@api(route="/", method="GET")
def root() -> dict[str, str]:
    """Say that the server is up."""
    return {"status": "ok"}


@api(route="/hello/{name}", method="GET")
def hello(name: str) -> dict[str, str]:
    """Greet by name."""
    return {"message": f"Hello, {name}!"}


@api(route="/ahello/{name}", method="GET")
async def hello_async(name: str) -> dict[str, str]:
    """Greet by name from the loop."""
    return {"message": f"Hello, {name}!"}


@api(route="/me", method="GET")
@jwt_required(secret="the bench's secret of more than thirty-two bytes", algorithm="HS256")
def me(request) -> dict[str, str]:
    """Tell the caller who it is."""
    return {"sub": request.state.jwt_payload["sub"]}


@api(route="/people/{number}", method="GET")
def person(number: int) -> dict:
    """Look a person up."""
    return db.query("SELECT id, name, email, age FROM people WHERE id = ?", [number])


@api(route="/apeople/{number}", method="GET")
async def person_async(number: int) -> dict:
    """Look a person up without holding the loop."""
    return await db.aquery("SELECT id, name, email, age FROM people WHERE id = ?", [number])


@api(route="/users", method="POST")
def create_user(user: NewUser) -> dict[str, object]:
    """Accept a valid user."""
    return {"id": 123, "name": user.name, "email": user.email, "age": user.age}


if __name__ == "__main__":
    if "LOG_FILE" in os.environ:
        logging.basicConfig(filename=os.environ["LOG_FILE"], filemode="w", level=logging.INFO)
    app.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        workers=int(os.environ.get("WORKERS", "1")),
        access_log=False,
        log_level=os.environ.get("LOG_LEVEL", "info"),
    )
