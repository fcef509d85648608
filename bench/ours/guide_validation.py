"""The guide's block on input validation as it stands there, run on the bench's port."""

import os

# ruff: noqa: I001, N805
from apifrom import API, api
from pydantic import BaseModel, Field, EmailStr, validator

# Create an API instance
app = API()


# Define a Pydantic model for validation
class User(BaseModel):
    name: str = Field(..., min_length=2, max_length=50)
    email: EmailStr
    age: int = Field(..., ge=18, le=120)
    password: str = Field(..., min_length=8)

    # Custom validator
    @validator("password")
    def password_strength(cls, v):
        if not any(c.isupper() for c in v):
            raise ValueError("Password must contain at least one uppercase letter")
        if not any(c.islower() for c in v):
            raise ValueError("Password must contain at least one lowercase letter")
        if not any(c.isdigit() for c in v):
            raise ValueError("Password must contain at least one digit")
        if not any(c in "!@#$%^&*()_+-=[]{}|;:,.<>?/" for c in v):
            raise ValueError("Password must contain at least one special character")
        return v


@api(route="/users", method="POST")
def create_user(user: User) -> dict:
    """Create a new user."""
    # Password is automatically validated
    return {"id": 123, **user.dict(exclude={"password"})}


if __name__ == "__main__":
    app.run(host="127.0.0.1", port=int(os.environ["PORT"]))
