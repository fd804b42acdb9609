// A list of tasks, the timeline of the chosen one, and the status of the connection.

import { memo, useState } from "react";
import { ConnectionStatus, OfflineBanner, useTasks, useTaskSubscription } from "task-relay-client/react";

export function App() {
  const [chosen, choose] = useState(null);
  return (
    <>
      <header>
        <h1>Tasks</h1>
        <ConnectionStatus />
      </header>
      <OfflineBanner />
      <main>
        <TaskList chosen={chosen} onChoose={choose} />
        {chosen && (
          <article key={chosen}>
            <TaskHeading taskId={chosen} onClose={() => choose(null)} />
            <Timeline taskId={chosen} />
          </article>
        )}
      </main>
    </>
  );
}

function TaskList({ chosen, onChoose }) {
  const [wanted, setWanted] = useState("");
  const { state, tasks } = useTasks({
    where: ({ title = "" }) => title.toLowerCase().includes(wanted.toLowerCase()),
  });
  if (state !== "ready") return <p>{state === "loading" ? "Loading…" : `No list: ${state}`}</p>;
  return (
    <nav>
      <input type="search" aria-label="Filter" value={wanted} onChange={(event) => setWanted(event.target.value)} />
      <ul>
        {tasks.map((task) => (
          <TaskRow key={task.taskId} task={task} isChosen={task.taskId === chosen} onChoose={onChoose} />
        ))}
      </ul>
    </nav>
  );
}

// A task or event that did not change is the same object, so with `memo` only changes render again.
const TaskRow = memo(function TaskRow({ task, isChosen, onChoose }) {
  return (
    <li data-task-id={task.taskId}>
      <button type="button" aria-current={isChosen} onClick={() => onChoose(task.taskId)}>
        <span>{task.title ?? task.taskId}</span>
        <StatusChip status={task.status} />
      </button>
    </li>
  );
});

// Both components read the task. It is joined once. This one renders only when what it selects changes.
function TaskHeading({ taskId, onClose }) {
  const { task, count } = useTaskSubscription(taskId, ({ task, events }) => ({ task, count: events.length }));
  return (
    <header>
      <h2>{task?.title ?? taskId}</h2>
      <StatusChip status={task?.status} />
      <span className="count">{count} events</span>
      <button type="button" onClick={onClose}>Close</button>
    </header>
  );
}

function Timeline({ taskId }) {
  const { state, events } = useTaskSubscription(taskId);
  if (state !== "ready") return <p>{state === "loading" ? "Loading…" : `This task is ${state}.`}</p>;
  return (
    <ol>
      {events.map((event, index) => <Entry key={index} event={event} index={index} />)}
    </ol>
  );
}

const Entry = memo(function Entry({ event, index }) {
  const message = event?.data?.message; // of any type
  return (
    <li data-event-index={index}>
      <time dateTime={event?.at ?? undefined}>{event?.at && new Date(event.at).toLocaleTimeString()}</time>
      <strong>{event?.type ?? "event"}</strong>
      <span>{typeof message === "string" ? message : null}</span>
    </li>
  );
});

function StatusChip({ status = "created" }) {
  return <span className="chip" data-status={status}>{status.replaceAll("_", " ")}</span>;
}
