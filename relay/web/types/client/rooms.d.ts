export class Rooms {
    /**
     * @param {(type: string, data: object) => string | undefined} send
     *   gives the id of the request, or undefined while there is no connection
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
    /** @param {ServerMessage} message */
    receive({ type, data, replyTo }: ServerMessage): void;
    #private;
}
export type ServerMessage = import("./protocol.js").ServerMessage;
/**
 * `wanted`: to be asked for. `asked`: the answer to `request` is awaited. `joined`: live.
 * `waiting`: refused for the moment. `gone`: refused, or the task went away.
 */
export type Phase = "wanted" | "asked" | "joined" | "waiting" | "gone";
export type Room<V extends TaskList | Timeline> = {
    view: V;
    joins: number;
    phase: Phase;
    request?: string;
};
import { TaskList } from "./task-list.js";
import { Timeline } from "./timeline.js";
