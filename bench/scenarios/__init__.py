"""The scenarios of the throughput table, in its order."""

from scenarios import hello, people, surrounded, tokens, users
from scenarios.model import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    hello.SCENARIO,
    users.SCENARIO,
    people.SCENARIO,
    tokens.VERIFIED,
    tokens.REFUSED,
    surrounded.SCENARIO,
)
