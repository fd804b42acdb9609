"""`relay conformance`: start a client once for each scenario, judge it, and print how it did. Does I/O."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import TextIO

from relay.cli.conformance import report
from relay.cli.conformance.client import Address, Client, Launch, program, shown
from relay.cli.conformance.exam import Exam
from relay.cli.conformance.faults import Failed
from relay.cli.conformance.listener import listening
from relay.cli.conformance.report import Result
from relay.cli.conformance.scenarios import ALL, Scenario
from relay.cli.conformance.world import TASK
from relay.cli.printable import visible
from relay.errors import StartupError

EXIT_DONE, EXIT_FAULTS = 0, 1


async def run(
    command: Sequence[str],
    chosen: Sequence[Scenario],
    out: TextIO,
    *,
    patience_s: float,
    at_once: int,
    trace: bool,
    as_json: bool,
) -> int:
    """Examine the client of this command, and print the report. Return the exit code.

    Raises StartupError for a command that cannot be started.
    """
    skipped = [one.name for one in ALL if one not in chosen]
    results = []
    try:
        async for result in examine(program(command), chosen, patience_s=patience_s, at_once=at_once):
            results.append(result)
            if not as_json:
                print("\n".join(report.lines(result, trace=trace)), file=out, flush=True)
    except OSError as failure:
        raise StartupError(
            f"The client {visible(command[0])} cannot be started: {failure.strerror}."
        ) from None
    print(report.to_json(results, skipped) if as_json else report.total(results, skipped), file=out)
    return EXIT_FAULTS if any(one.faults for one in results) else EXIT_DONE


def choose(only: Sequence[str], without: Sequence[str]) -> list[Scenario]:
    """Return the scenarios to play.

    Raises ValueError for a name that is none, and if none is left: a check that plays nothing must not succeed.
    """
    names = [one.name for one in ALL]
    for name in (*only, *without):
        if name not in names:
            raise ValueError(f"There is no scenario {name!r}: choose from {', '.join(names)}.")
    chosen = [one for one in ALL if (not only or one.name in only) and one.name not in without]
    if not chosen:
        raise ValueError("No scenario is left to play.")
    return chosen


def listing() -> str:
    """Return a line for each scenario."""
    return "\n".join(
        f"{one.name:16} {one.what} (PROTOCOL.md {one.section}){'; optional' if one.optional else ''}"
        for one in ALL
    )


async def examine(
    launch: Launch, scenarios: Iterable[Scenario], *, host: str = "127.0.0.1", patience_s: float, at_once: int
) -> AsyncIterator[Result]:
    """Play the scenarios, this many at once, and yield the results in the order of the scenarios.

    Raises OSError for a client that cannot be started.
    """
    places = asyncio.Semaphore(at_once)

    async def one(scenario: Scenario) -> Result:
        async with places:
            return await play(launch, scenario, host=host, patience_s=patience_s)

    tasks = [asyncio.create_task(one(scenario)) for scenario in scenarios]
    try:
        for task in tasks:
            yield await task
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def play(launch: Launch, scenario: Scenario, *, host: str, patience_s: float) -> Result:
    """Play one scenario with a client of its own."""
    clock = asyncio.get_running_loop().time
    exam = Exam(patience_s, clock)
    began = clock()
    async with listening(exam, host) as url:
        client = await launch(Address(url, f"{url}/token", TASK, scenario.name))
        reading = asyncio.create_task(_read(client, exam))
        try:
            await scenario.play(exam)
        except Failed as failed:
            exam.faults[failed.fault] = None
        finally:
            reading.cancel()
            await client.stop()
            await asyncio.gather(reading, return_exceptions=True)
    return Result(scenario, tuple(exam.faults), clock() - began, tuple(exam.trace), client.log())


async def _read(client: Client, exam: Exam) -> None:
    async for line in client.lines():
        exam.show(shown(line))
    exam.ended = True
    exam.moved()
