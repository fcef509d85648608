"""A server that lets one client hold ten thousand connections."""

import os

from apifrom import API, api

app = API(title="bench")


@api(route="/hello/{name}", method="GET")
def hello(name: str) -> dict[str, str]:
    """Greet by name."""
    return {"message": f"Hello, {name}!"}


if __name__ == "__main__":
    app.run(
        host="127.0.0.1",
        port=int(os.environ["PORT"]),
        access_log=False,
        limit_connections_per_client=16_384,
    )
