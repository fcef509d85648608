"""What the command line decides for every measurement."""

from dataclasses import dataclass

from harness.loader import Cores


@dataclass(frozen=True)
class Options:
    """The choices that measurements share.

    Attributes:
        cores: Where server and loader run.
        rounds: How often each row is measured.
        seconds: How long a measurement lasts.
        minutes: How long a soak lasts.
        connections: How many keep-alive connections a closed loop holds.
        seed: What the order of the rounds is drawn from.
        scenarios: The scenarios to run; empty for all.
        only: Parts of labels; a row that has none of them is left out. Empty for all rows.
    """

    cores: Cores
    rounds: int
    seconds: float
    minutes: float
    connections: int
    seed: int
    scenarios: tuple[str, ...]
    only: tuple[str, ...]

    def wants(self, label: str) -> bool:
        """Whether a row was asked for."""
        return not self.only or any(part.lower() in label.lower() for part in self.only)
