"""Scenarios about the events of a task: resume, gaps, repeats, rewrites."""

from __future__ import annotations

from relay.cli.conformance.exam import Exam
from relay.cli.conformance.faults import Fault
from relay.cli.conformance.scenarios.scenario import Scenario
from relay.cli.conformance.world import event, frame
from relay.protocol.types import Kind

LOST = "the connection was lost"


async def live(exam: Exam) -> None:
    peer = await exam.opened()
    for number in range(3, 8):
        exam.append(peer, event(number))
    exam.world.title = "Export all invoices"
    exam.send(peer, exam.world.upserted())
    await exam.shows("did not show live events and a change of the list", "5")


async def resume(exam: Exam) -> None:
    peer = await exam.opened()
    exam.append(peer, event(3))
    await exam.shows("did not show a live event", "5")
    exam.expected = exam.world.position()
    exam.world.append(event(4))  # while the client is away
    peer.socket.abort()
    await exam.comes_back(peer, LOST, within_s=0.5)
    await exam.shows("did not show what it had missed after a reconnect", "6.2")


async def gap(exam: Exam) -> None:
    peer = await exam.opened()
    exam.wrong_events = Fault("ignored a gap: it applied an event whose index is not the next one", "6.1")
    asked = peer.asked
    exam.world.append(event(3))  # is lost
    exam.append(peer, event(4))
    await exam.until(
        lambda: sum(one.asked for one in exam.peers) > asked,
        "did not ask for the task again after an event whose index is not the next one", "6.1",
    )  # fmt: skip
    await exam.shows("did not show all events after a gap", "6.1")


async def duplicate(exam: Exam) -> None:
    peer = await exam.opened()
    exam.wrong_events = Fault("applied an event twice", "6.1")
    added = exam.world.append(event(3))
    exam.send(peer, *added, *added)
    await exam.shows("did not show an event that came twice", "6.1")
    exam.send(peer, added[0] | {"data": added[0]["data"] | {"index": 0, "event": exam.world.events[0]}})
    exam.append(peer, event(4))
    await exam.shows("did not go on after an event that came twice", "6.1")


async def rewrite(exam: Exam) -> None:
    peer = await exam.opened()
    exam.world.rewrite([event(9), event(0)])
    exam.send(peer, *exam.world.task_state(None, None, None), exam.world.upserted())
    await exam.shows("did not replace the events by those of a state with reset: true", "6.3")
    exam.append(peer, event(10))
    await exam.shows("did not append to the events of a state with reset: true", "6.1")


async def rewritten(exam: Exam) -> None:
    peer = await exam.opened()
    exam.expected = exam.world.position()
    exam.world.rewrite([event(9), event(1), event(8), event(7)])
    peer.socket.abort()
    await exam.comes_back(peer, LOST, within_s=0.5)
    await exam.shows("did not drop its events when its position was answered with reset: true", "6.2")


async def deleted(exam: Exam) -> None:
    peer = await exam.opened()
    task = exam.world.summary()["taskId"]
    exam.send(
        peer,
        frame(Kind.DELETED, {"taskId": task}),
        frame(Kind.LIST_UPDATED, {"change": "deleted", "taskId": task}),
    )
    await exam.until(
        lambda: not exam.events and exam.tasks is not None and task not in exam.tasks,
        "still showed a task that was deleted", "5",
    )  # fmt: skip


ALL = (
    Scenario("live", "5", "applies live events and changes of the list", live),
    Scenario("resume", "6.2", "comes back with its position after a lost connection", resume),
    Scenario("gap", "6.1", "notices an event that is missing, and asks for the task again", gap),
    Scenario("duplicate", "6.1", "applies no event twice", duplicate),
    Scenario("rewrite", "6.3", "replaces its events by those of a rewritten timeline", rewrite),
    Scenario("rewritten", "6.2", "drops its events when its position no longer holds", rewritten),
    Scenario("deleted", "5", "drops a task that was deleted", deleted),
)
