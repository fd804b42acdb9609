"""Faults of the clients that were fixed: each mutation brings one of them back with the smallest change.

A number in a name counts the faults that the simulation has found.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from relay.client.client import Client
from relay.client.events import Message
from relay.client.subscriptions import Outcome, Subscriptions
from relay.hub.task_reads import TaskAnswer
from simulation.mutation import Mutation, replaced

_BROWSER = ("browser",)
_JOINS, _LEAVES = "subscriptions.js", "leaves.js"
_POLLING, _MOMENTS = "transports/polling.js", "transports/moments.js"
_SPLIT_CODES = '["bad_request", "bad_message", "too_many_tasks"]'
_DIVIDES = "if (refusal) return"


def _shows_what_is_there(show: Any) -> Any:
    def shows(self: Client, message: Message, outcome: Outcome) -> None:
        task_id = message.data.get("taskId")
        current = self._views.get(task_id) if isinstance(task_id, str) else None
        show(
            self,
            message,
            outcome if current is None or outcome.view is None else replace(outcome, view=current),
        )

    return shows


def _overlooks_what_appeared(_: Any) -> Any:
    """The relay of today looks again when a task came into view while it was read."""
    return lambda self, listener: False


def _ends_what_is_wanted(on_gone: Any) -> Any:
    def notes(self: Subscriptions, room: str) -> Outcome:
        want = self._wanted.get(room)
        outcome = on_gone(self, room)
        if want is None or outcome.view is want.view:
            return outcome
        self._asked.pop(room, None)
        self._wanted.remove(room)
        return Outcome(want.view)

    return notes


CLIENTS: dict[str, Mutation] = {
    "16-refused-together": Mutation(
        "16: one task that is a bad request ends all of the same request in the browser",
        "ended",
        _BROWSER,
        javascript=[(_JOINS, _SPLIT_CODES, '["too_many_tasks"]')],
        seed=3,
    ),
    "16-polling-ends": Mutation(
        "16: one task that is a bad request ends a browser client that polls",
        "status",
        _BROWSER,
        javascript=[(_POLLING, _DIVIDES, 'if (refusal?.code === "too_many_tasks") return')],
    ),
    "17-revoked-between-pages": Mutation(
        "17: a task that goes away between two pages of its state stays loading in the browser",
        "loading",
        _BROWSER,
        javascript=[
            (
                _JOINS,
                "if (!task) return;\n    task.wasListed = false;",
                'if (task?.phase !== "joined") return;',
            )
        ],
        seed=8,
    ),
    "18-listed-stays-forbidden": Mutation(
        "18: a task that comes into view by a state of the list stays forbidden in the browser",
        "hidden",
        _BROWSER,
        javascript=[
            (_JOINS, "for (const { taskId } of page.tasks) this.#becameVisible(taskId);", ""),
            (_JOINS, "this.#joinHidden(); // the fresh token", "// the fresh token"),
        ],
    ),
    "18-seen-while-asked": Mutation(
        "18: a task that comes into view while its join is in flight stays forbidden in the browser",
        "hidden",
        _BROWSER,
        python=replaced(TaskAnswer, "appeared_for", _overlooks_what_appeared),
        javascript=[(_JOINS, 'if (code === "forbidden" && one.wasListed) return one.want();', "")],
        seed=2,
    ),
    "19-too-many-ends-all": Mutation(
        "19: one task too many ends all of the same request in the browser",
        "ended",
        _BROWSER,
        javascript=[
            (_JOINS, _SPLIT_CODES, '["bad_request", "bad_message"]'),
            (_JOINS, "this.#limits = { maxTasks, maxM", "this.#limits = { maxTasks: Infinity, maxM"),
        ],
    ),
    "19-polling-gives-up": Mutation(
        "19: too many tasks in one poll end a browser client that polls",
        "status",
        _BROWSER,
        javascript=[(_POLLING, _DIVIDES, 'if (refusal && refusal.code !== "too_many_tasks") return')],
    ),
    "19-leave-lost": Mutation(
        "19: a leave that the relay had no time for is not sent again by the browser",
        "kept",
        _BROWSER,
        javascript=[
            (_LEAVES, "if (retryAt === null) this", "this"),
            (_LEAVES, "      else this.#all.set(key, { notBefore: retryAt });\n", ""),
            # As it was, a leave did not wait for its turn, so it met refusals.
            (_JOINS, "if (waitMs > 0) return", 'if (waitMs > 0 && !type.endsWith(":leave")) return'),
        ],
        without=("drops", "blocked", "cap", "bad", "pages", "overflow"),  # mostly another connection
    ),
    "20-moment-goes-back": Mutation(
        "20: a browser client that polls takes the moment of its last answer, also one before the greatest",
        "moment",
        _BROWSER,
        javascript=[(_MOMENTS, "!isEarlier(moment, this.latest)", "true")],
    ),
    "21-older-membership": Mutation(
        "21: the Python client applies a message of an older membership to the new view",
        "view",
        ("python",),
        python=replaced(Client, "_show", _shows_what_is_there),
    ),
    "21-revoked-before-answer": Mutation(
        "21: a revocation from before the answer of a second join ends the new view of the Python client",
        "view",
        ("python",),
        python=replaced(Subscriptions, "_on_gone", _ends_what_is_wanted),
    ),
}
