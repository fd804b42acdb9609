// @ts-check
// The texts of the page in English. Every other language falls back to these.

/** @type {import("../language.js").Texts} */
export const en = {
  // Header
  "title": "Tasks",
  "filter": "Filter tasks",
  "filters": "Show only",
  "keys": "Keys",

  // List
  "list": "Tasks",
  "list.clear-filter": "Clear the filter",
  "list.reconnect": "Reconnect",

  // Open task
  "task": "Open task",
  "task.back": "Back to the list",
  "task.close": "Close the task",
  "task.created": "created",
  "task.what-failed": "What failed",
  "task.redacted": "A secret, taken out before it was sent",
  "task.issue": "Issue",
  "task.pull-request": "Pull request",
  "copy.copied": "Copied",
  "copy.failed": "Not copied",
  "copy.selected": "Selected",

  // Stages and steps
  "stage.created": "Created",
  "stage.analyzing": "Analyzing",
  "stage.questions": "Questions",
  "stage.dispatched": "Dispatched",
  "stage.review": "Review ready",
  "stage.done": "Merged",
  "stage.failed": "Failed",
  "step.created": "Created",
  "step.analyzing": "Analyzing",
  "step.dispatched": "Dispatched",
  "step.review": "Review",
  "step.merged": "Merged",

  // Durations
  "duration.second": "{count} s",
  "duration.minute": "{count} min",
  "duration.hour": "{count} h",
  "duration.day": "{count} d",

  // Texts of documents
  "copy": "Copy",
  "copied": "Copied",
  "copy.selected": "Selected",
  "copy.digest": "Copy {digest} as a whole",
  "block": "Technical text",
  "block.unfold": { one: "Show the one line", other: "Show all {count} lines" },
  "block.fold": "Show 12 lines",

  // Timeline
  "timeline": "Timeline",
  "timeline.empty": "No events yet. They appear here as they are written.",
  "timeline.data": "Data",

  // Connection
  "connection": "Connection",
  "connection.connecting": "Connecting",
  "connection.try-now": "Try now",
  "connection.connect-now": "Connect now",
  "connection.last-message": "Last message",
  "connection.delay": "Database to page",
  "connection.transport": "Transport",
  "connection.reconnects": "Reconnects",
  "connection.signed-in-as": "Signed in as",
  "notify": "Notify me when a task needs me",
  "notify.denied": "This browser does not allow notifications from this page.",

  // Keys
  "keys.next": "Next task",
  "keys.previous": "Previous task",
  "keys.open": "Open the task",
  "keys.end": "Newest event of the open task",
  "keys.filter": "Filter",
  "keys.leave": "Clear the filter, close the task",
  "keys.help": "These keys",
  "keys.close": "Close",
};
