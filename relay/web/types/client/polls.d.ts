import type { ServerMessage } from "./messages.js";
export type { ServerMessage };
/**
 * Whether live delivery is switched on for the user of the token, the public addresses at which this relay
 * serves WebSockets and polls, the version of the protocol, and the links of the mapping if it has any.
 */
export type ConfigAnswer = {
    enabled: boolean;
    websocketUrl: string;
    pollUrl: string;
    protocol: number;
    links?: LinkTemplates | undefined;
};
/**
 * Identifies a summary or a list as it was sent.
 */
export type Etag = {
    etag: string;
};
/**
 * Where a page leads from a task: addresses with fields of its summary in braces, as in
 * `https://tracker.example/tasks/{taskId}`. `answer` is for one with questions, `retry` for one that failed.
 */
export type LinkTemplates = {
    task?: string | undefined;
    answer?: string | undefined;
    retry?: string | undefined;
};
/**
 * What a client without a WebSocket asks again and again: the list, tasks (each once), or both. `moment` is the
 * greatest one of all answers.
 */
export type Poll = {
    dashboard?: PolledList | undefined;
    tasks?: PolledTask[] | undefined;
    moment?: string | undefined;
};
/**
 * What is newer, as messages of the server, and what to send with the next poll: the etags and the moment.
 * `more`: the answer is full, and the next poll fetches the rest. `claims` is that of `welcome`.
 */
export type PollAnswer = {
    messages: ServerMessage[];
    dashboard?: Etag | undefined;
    tasks?: Record<string, Etag> | undefined;
    moment: string;
    more?: true | undefined;
    claims?: Record<string, string[]> | undefined;
};
/**
 * The list, unless it is still the one that has this etag. `updates: true` says that you apply
 * `dashboard:task_list_updated` to the list that you hold, so the answer may have only what changed.
 */
export type PolledList = {
    limit?: number | undefined;
    etag?: string | null | undefined;
    updates?: boolean | undefined;
};
/**
 * A task, unless you hold it as it is: no event after this position, and the summary that has this etag.
 * `forbidden: true` says that you know you may not see the task: only its becoming visible is news.
 */
export type PolledTask = {
    taskId: string;
    since?: number | null | undefined;
    head?: string | null | undefined;
    etag?: string | null | undefined;
    forbidden?: boolean | undefined;
};
