export class Rooms {
    /**
     * @param {(type: string, data: object) => string | undefined} send
     *   gives the id of the request, or undefined where no answer will come: while there is no connection
     * @param {import("./host.js").Host} host
     */
    constructor(send: (type: string, data: object) => string | undefined, host: import("./host.js").Host);
    /** @param {number} [limit] */
    joinDashboard(limit?: number): TaskList;
    leaveDashboard(): void;
    /** @param {string} taskId */
    joinTask(taskId: string): Timeline;
    /** @param {string} taskId */
    leaveTask(taskId: string): void;
    /** A new connection knows nothing of us. */
    joinAll(): void;
    /** Nothing is sent from here on. */
    close(): void;
    /** @param {ServerMessage} message */
    receive({ type, data, replyTo }: ServerMessage): void;
    #private;
}
export type ServerMessage = import("./messages.js").ServerMessage;
/**
 * `wanted`: to be asked for. `asked`: the answer to `request` is awaited. `joined`: live.
 * `gone`: not to be seen, or no longer; asked for again when it may be. `full`: one more than the
 * connection may have; asked for again when another one leaves. `refused`: nothing the relay knows, on no
 * connection; asked for no more.
 */
export type Phase = "wanted" | "asked" | "joined" | "gone" | "full" | "refused";
/**
 * `request`: the last one that asked for it on this connection. `notBefore`: in ms since the epoch, a
 * wait after a temporary error. `halfway`: some pages of the answer are here. `seen`: since it was asked
 * for, the list has shown it.
 */
export type Room<V extends TaskList | Timeline> = {
    view: V;
    joins: number;
    phase: Phase;
    notBefore: number;
    request?: string;
    share?: number;
    halfway?: boolean;
    seen?: boolean;
};
export type DashboardRoom = Room<TaskList> & {
    limit?: number;
};
export type TaskRoom = Room<Timeline>;
/**
 * A request to be sent: what it counts as, and what follows when it has been.
 */
export type Due = {
    type: string;
    data: object;
    cost: number;
    sent: (request: string | undefined) => void;
};
import { TaskList } from "./task-list.js";
import { Timeline } from "./timeline.js";
