"""For pytest: tries what an API promises, as tests.

`pytest --apifrom-attack shop.main:app` adds a test for each promise of each endpoint. In a test of
your own:

```python
from shop.main import app


def test_every_promise_holds(apifrom_attack):
    apifrom_attack(app)
```
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from apifrom._check.attacks import Trial
    from apifrom.api import API

__all__ = ["apifrom_attack"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option."""
    group = parser.getgroup("apifrom")
    group.addoption(
        "--apifrom-attack",
        action="append",
        default=[],
        metavar="MODULE:APP",
        help="try every promise of this API, a test for each",
    )


@pytest.fixture
def apifrom_attack() -> Callable[[API], list[Trial]]:
    """Tries every promise of an API, and fails with those that do not hold."""
    from apifrom._check import attacks  # noqa: PLC0415 - only where it is used

    def attack(app: API) -> list[Trial]:
        trials = attacks.attack(app)
        broken = [str(trial) for trial in trials if trial.verdict == "broken"]
        if broken:
            pytest.fail("\n".join(broken), pytrace=False)
        return trials

    return attack


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(
    session: pytest.Session, config: pytest.Config, items: list[pytest.Item]
) -> None:
    """Adds a test for each promise of each API that was named."""
    for target in config.getoption("--apifrom-attack"):
        from apifrom import _target  # noqa: PLC0415 - only where it is used
        from apifrom._check import attacks  # noqa: PLC0415
        from apifrom.exceptions import ConfigurationError  # noqa: PLC0415

        try:
            trials = attacks.attack(_target.load(target))
        except _target.TargetError as error:
            raise pytest.UsageError(f"--apifrom-attack: {error}") from None
        except ConfigurationError as error:
            raise pytest.UsageError(
                f"--apifrom-attack: {target} would not start: {error}"
            ) from None
        for index, trial in enumerate(trials):
            name = f"{target}[{trial.promise} {trial.subject}][{index}]"
            items.append(_Promise.from_parent(session, name=name, trial=trial))


class _Promise(pytest.Item):
    """A promise that was tried."""

    def __init__(self, *, trial: Trial, **options: Any) -> None:
        super().__init__(**options)
        self.trial = trial

    def runtest(self) -> None:
        """Says what came of it."""
        if self.trial.verdict == "untried":
            pytest.skip(self.trial.detail)
        if self.trial.verdict == "broken":
            pytest.fail(str(self.trial), pytrace=False)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Where it is: in no file."""
        return self.path, None, self.name
