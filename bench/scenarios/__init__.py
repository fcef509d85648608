"""The scenarios of the throughput table, in its order."""

from scenarios import hello, tokens, users
from scenarios.model import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    hello.SCENARIO,
    users.SCENARIO,
    tokens.VERIFIED,
    tokens.REFUSED,
)
