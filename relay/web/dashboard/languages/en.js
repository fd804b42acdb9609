// @ts-check
// The texts of the page in English. Every other language falls back to these.

/** @type {import("../language.js").Texts} */
export const en = {
  // Header
  "title": "Tasks",
  "filters": "Show only",
  "search": "Search tasks",
  "search.clear": "Show all tasks",
  "search.close": "Clear the search",
  "search.nothing-found": "Nothing found",
  "search.no-match": "No task matches “{text}”.",
  "search.empty-section": "No task is there now.",
  "search.help": "All words have to match: title, stage, people, numbers, addresses.",
  "search.help.phrase": "these words together",
  "search.help.without": "without this word",
  "search.help.number": "an issue or a pull request",
  "search.help.creator": "who created it",
  "search.help.status": "where it stands",
  "search.help.mine": "mine, or waiting for me",
  "search.help.unread": "changed since I opened it",
  "search.section.needs-me": "Needs me",
  "search.section.needs-others": "Needs others",
  "search.section.in-progress": "In progress",
  "search.section.failed": "Failed",
  "search.section.completed": "Completed",
  "search.short.needs-me": "For me",
  "search.short.needs-others": "Others",
  "search.short.in-progress": "Active",
  "search.short.failed": "Failed",
  "search.short.completed": "Done",
  "keys": "Keys",

  // List
  "list": "Tasks",
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

  // Notifications
  "notify.untitled": "Untitled",
  "notify.questions": "Has questions for you.",
  "notify.review": "Waits for your review.",
  "notify.review-of": "Pull request {number} waits for your review.",
  "notify.waits": "Waits for you.",
  "notify.failed": "Failed.",
  "notify.many": { one: "{count} task needs you.", other: "{count} tasks need you." },

  // Screen readers
  "said.created": "“{title}” was created.",
  "said.analyzing": "“{title}” is being analyzed.",
  "said.clarification_needed": "“{title}” asks questions.",
  "said.dispatched": "“{title}” was dispatched.",
  "said.pr_opened": "“{title}” is ready for review.",
  "said.pr_merged": "“{title}” was merged.",
  "said.failed": "“{title}” failed.",
  "said-many": { one: "{count} task changed.", other: "{count} tasks changed." },

  // Keys
  "keys.next": "Next task",
  "keys.previous": "Previous task",
  "keys.open": "Open the task",
  "keys.end": "Newest event of the open task",
  "keys.search": "Search",
  "keys.leave": "Clear the search, close the task, show all tasks",
  "keys.help": "These keys",
  "keys.close": "Close",
};
