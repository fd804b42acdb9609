export class Subscriptions {
    /**
     * @param {(type: string, data: object) => string | undefined} send
     *   returns the id of the request, or undefined while there is no connection
     * @param {import("./host.js").Host} host
     */
    constructor(send: (type: string, data: object) => string | undefined, host: import("./host.js").Host);
    /** @param {number} [limit] */
    joinDashboard(limit?: number): TaskList;
    leaveDashboard(): void;
    /** @param {string} taskId */
    joinTask(taskId: string): Timeline<import("./messages.js").AnyEvents>;
    /** @param {string} taskId */
    leaveTask(taskId: string): void;
    /** The limit of the list that is to be joined; undefined if none is. */
    get wantedLimit(): number | undefined;
    /**
     * Joins everything on a new connection, which knows nothing of earlier joins.
     * @param {number} [joined] the limit of the list, if the request for the connection has joined it
     */
    joinAll(joined?: number): void;
    /**
     * Everything that is joined, with its position.
     * @returns {import("./debug.js").DebugRoom[]}
     */
    get rooms(): import("./debug.js").DebugRoom[];
    /** Sends nothing any more. */
    close(): void;
    /** @param {ServerMessage} message */
    receive({ type, data, replyTo: named }: ServerMessage): void;
    #private;
}
import type { ServerMessage } from "./messages.js";
export type { ServerMessage };
export type ListSubscription = Subscription<TaskList>;
export type TaskSubscription = Subscription<Timeline>;
/**
 * A request to be sent: its cost in requests, and what follows when it has been sent.
 */
export type Due = {
    type: string;
    data: object;
    cost: number;
    sent: (request: string | undefined) => void;
};
import { TaskList } from "./task-list.js";
import { Timeline } from "./timeline.js";
import { Subscription } from "./subscription.js";
