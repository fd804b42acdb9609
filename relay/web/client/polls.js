// @ts-check
// The bodies of polls and of `GET /config` as types. scripts/generate writes this file from the declaration in
// relay/protocol/messages.py and polls.py: change that one.

/** @typedef {import("./messages.js").ServerMessage} ServerMessage */

/**
 * Whether live delivery is switched on for the user of the token, the public addresses at which this relay
 * serves WebSockets and polls, the version of the protocol, and the links of the mapping if it has any.
 * @typedef {object} ConfigAnswer
 * @property {boolean} enabled
 * @property {string} websocketUrl
 * @property {string} pollUrl
 * @property {number} protocol
 * @property {LinkTemplates} [links]
 */

/**
 * Identifies a summary or a list as it was sent.
 * @typedef {object} Etag
 * @property {string} etag
 */

/**
 * Where a page leads from a task: addresses with fields of its summary in braces, as in
 * `https://tracker.example/tasks/{taskId}`. `answer` is for one with questions, `retry` for one that failed.
 * @typedef {object} LinkTemplates
 * @property {string} [task]
 * @property {string} [answer]
 * @property {string} [retry]
 */

/**
 * What a client without a WebSocket asks again and again: the list, tasks (each once), or both. `moment` is the
 * greatest one of all answers.
 * @typedef {object} Poll
 * @property {PolledList} [dashboard]
 * @property {PolledTask[]} [tasks]
 * @property {string} [moment]
 */

/**
 * What is newer, as messages of the server, and what to send with the next poll: the etags and the moment.
 * `more`: the answer is full, and the next poll fetches the rest. `claims` is that of `welcome`.
 * @typedef {object} PollAnswer
 * @property {ServerMessage[]} messages
 * @property {Etag} [dashboard]
 * @property {Record<string, Etag>} [tasks]
 * @property {string} moment
 * @property {true} [more]
 * @property {Record<string, string[]>} [claims]
 */

/**
 * The list, unless it is still the one that has this etag. `updates: true` says that you apply
 * `dashboard:task_list_updated` to the list that you hold, so the answer may have only what changed.
 * @typedef {object} PolledList
 * @property {number} [limit]
 * @property {string | null} [etag]
 * @property {boolean} [updates]
 */

/**
 * A task, unless you hold it as it is: no event after this position, and the summary that has this etag.
 * `forbidden: true` says that you know you may not see the task: only its becoming visible is news.
 * @typedef {object} PolledTask
 * @property {string} taskId
 * @property {number | null} [since]
 * @property {string | null} [head]
 * @property {string | null} [etag]
 * @property {boolean} [forbidden]
 */

export {};
