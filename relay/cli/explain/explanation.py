"""The answer of `relay explain`: may this user see this task, and why? Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from relay.cli.explain.user import User
from relay.config import Settings
from relay.protocol.types import Claims
from relay.tasks.mapping import Mapping, RoleRule
from relay.tasks.visibility import Comparison


class Verdict(StrEnum):
    """What decides. Each value is a word for machines; if several apply, the first of these decides."""

    TOKEN_UNCHECKED = "token_unchecked"  # noqa: S105 - no password
    TOKEN_REFUSED = "token_refused"  # noqa: S105 - no password
    NOT_IN_ROLLOUT = "not_in_rollout"
    NO_SUCH_TASK = "no_such_task"
    DISAGREEMENT = "disagreement"
    NO_RULE = "no_rule"
    VISIBLE = "visible"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """The document of a task, as the visibility rules see it.

    `comparisons` has every rule, and `roles` the rules for users who may see every task that hold for this user.
    `live` is the decision by audience keys, as it is made for live messages; `listed` is the decision of the database
    by the filter with which lists and joins are read. `waits_for` is whom the task waits for; None if it does not wait.
    `waits_for_user` says whether the user is one of them. `others` is the number of further documents for which the
    taskId may stand.
    """

    comparisons: Sequence[Comparison]
    roles: Sequence[RoleRule]
    live: bool
    listed: bool
    waits_for: Claims | None = None
    waits_for_user: bool = False
    others: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Whether one user may see one task, and everything that decides it.

    `now` is when it was found out, in seconds since 1970. `found` is None if there is no such task, or if nobody is
    known for whom it could be looked up. `hint` is a sentence about what may be meant instead of a task that does not
    exist.
    """

    settings: Settings
    mapping: Mapping
    now: float
    task_id: str
    user: User
    is_in_rollout: bool
    found: Found | None = None
    hint: str = ""

    @property
    def verdict(self) -> Verdict:
        """What decides."""
        if self.user.token is not None and self.user.token.unchecked:
            return Verdict.TOKEN_UNCHECKED
        if not self.user.is_accepted:
            return Verdict.TOKEN_REFUSED
        if not self.is_in_rollout:
            return Verdict.NOT_IN_ROLLOUT
        return self.of_rules

    @property
    def of_rules(self) -> Verdict:
        """What decides for a user whose token is accepted and whom the rollout includes."""
        if self.found is None:
            return Verdict.NO_SUCH_TASK
        if self.found.live != self.found.listed:
            return Verdict.DISAGREEMENT
        return Verdict.VISIBLE if self.found.live else Verdict.NO_RULE
