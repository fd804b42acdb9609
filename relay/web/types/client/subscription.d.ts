/** @typedef {import("./task-list.js").TaskList} TaskList */
/** @typedef {import("./timeline.js").Timeline} Timeline */
/** @typedef {import("./messages.js").ErrorCode | "deleted" | "revoked"} EndState `deleted` and `revoked` of a task only */
/**
 * - `wanted`: a join is to be sent.
 * - `asked`: a join was sent, and its answer is awaited.
 * - `joined`: the state is complete, and live messages follow.
 * - `gone`: not visible to this user, or deleted. It is joined again when the relay shows it again.
 * - `full`: more tasks than the connection may have. It is joined when another task is left.
 * - `refused`: the relay will never accept this join. It is not sent again, on any connection.
 * @typedef {"wanted" | "asked" | "joined" | "gone" | "full" | "refused"} Phase
 */
/** @template {TaskList | Timeline} V */
export class Subscription<V extends TaskList | Timeline> {
    /**
     * @param {V} view what the application reads
     * @param {number} [limit] of a list: how many tasks a state brings
     */
    constructor(view: V, limit?: number);
    /** How many parts of the application have joined it. */
    joins: number;
    /** @type {Phase} */
    phase: Phase;
    /** When the join may be sent, in ms since the epoch: later than now after a temporary error. */
    notBefore: number;
    /** @type {string | undefined} The id of the last join on this connection. */
    request: string | undefined;
    /** @type {number | undefined} The most tasks a join may name if this one is among them (see batches.js). */
    share: number | undefined;
    /** Whether some pages of the answer have arrived, but not the last one. */
    isPartial: boolean;
    /** Whether the list has shown this task since the join was sent. */
    wasListed: boolean;
    view: V;
    limit: number | undefined;
    /** Whether the relay has it, or soon will: an error for its request concerns it. */
    get isActive(): boolean;
    /** A new connection: the relay knows nothing of earlier joins. */
    reset(): void;
    /** @param {number} [notBefore] in ms since the epoch */
    want(notBefore?: number): void;
    /** @param {string} request the id of the join that was sent */
    ask(request: string): void;
    /**
     * Whether a page of a state belongs to this subscription as it is now. The last page completes the answer.
     *
     * Over long polling, a task that becomes visible again arrives by itself as the answer to its old join, so `gone`
     * accepts pages too.
     * @param {string | undefined} replyTo
     * @param {boolean} more whether another page follows
     */
    accepts(replyTo: string | undefined, more: boolean): boolean;
    /**
     * The relay ended or refused it.
     * @param {Phase} phase
     * @param {EndState} state of the view
     */
    end(phase: Phase, state: EndState): void;
}
import type { TaskList } from "./task-list.js";
export type { TaskList };
import type { Timeline } from "./timeline.js";
export type { Timeline };
/**
 * `deleted` and `revoked` of a task only
 */
export type EndState = import("./messages.js").ErrorCode | "deleted" | "revoked";
/**
 * - `wanted`: a join is to be sent.
 * - `asked`: a join was sent, and its answer is awaited.
 * - `joined`: the state is complete, and live messages follow.
 * - `gone`: not visible to this user, or deleted. It is joined again when the relay shows it again.
 * - `full`: more tasks than the connection may have. It is joined when another task is left.
 * - `refused`: the relay will never accept this join. It is not sent again, on any connection.
 */
export type Phase = "wanted" | "asked" | "joined" | "gone" | "full" | "refused";
