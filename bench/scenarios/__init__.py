"""The scenarios of the throughput table, in its order."""

from scenarios import hello, users
from scenarios.model import Scenario

SCENARIOS: tuple[Scenario, ...] = (hello.SCENARIO, users.SCENARIO)
