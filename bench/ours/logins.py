"""Users whose passwords are hashed, and a route beside them that must not suffer."""

import os

from apifrom import API, api
from apifrom.security import basic_auth_required, hash_password

# One hash for all of them: making thousands would take minutes.
STORED = hash_password("correct horse")
USERS = {f"user{number}": STORED for number in range(5_000)}

app = API(title="bench")


@api(route="/hello/{name}", method="GET")
def hello(name: str) -> dict[str, str]:
    """Greet by name."""
    return {"message": f"Hello, {name}!"}


@api(route="/ahello/{name}", method="GET")
async def hello_async(name: str) -> dict[str, str]:
    """Greet by name from the loop."""
    return {"message": f"Hello, {name}!"}


@api(route="/login", method="GET")
@basic_auth_required(credentials=USERS)
def login(request) -> dict[str, str]:
    """Tell the user who it is."""
    return {"user": request.state.username}


if __name__ == "__main__":
    app.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        access_log=False,
        limit_connections_per_client=1_024,
    )
