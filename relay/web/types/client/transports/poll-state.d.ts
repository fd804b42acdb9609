export class PollState {
    /** @param {Moments} [moments] of the answers that were applied */
    constructor(moments?: Moments);
    /**
     * Applies a request of the client.
     * @param {string} type
     * @param {any} data
     * @param {string} request its id
     * @returns {boolean} whether an answer will follow
     */
    ask(type: string, data: any, request: string): boolean;
    /**
     * Divides entries among as few polls as possible.
     * @param {(ListEntry | TaskEntry)[]} [entries]
     * @returns {(ListEntry | TaskEntry)[][]}
     */
    polls(entries?: (ListEntry | TaskEntry)[]): (ListEntry | TaskEntry)[][];
    /**
     * The body of a poll for these entries.
     * @param {readonly (ListEntry | TaskEntry)[]} entries
     * @returns {PollBody}
     */
    body(entries: readonly (ListEntry | TaskEntry)[]): PollBody;
    /**
     * The bodies of all polls that are needed at the same time.
     * @returns {PollBody[]}
     */
    bodies(): PollBody[];
    /** @param {readonly (ListEntry | TaskEntry)[]} entries of a poll that was answered */
    prove(entries: readonly (ListEntry | TaskEntry)[]): void;
    /** Whether a poll was refused and the entry at fault is not found yet. */
    get isSearching(): boolean;
    /**
     * A poll with several entries was refused as a whole.
     * @param {(ListEntry | TaskEntry)[]} entries
     * @param {Refusal} refusal
     * @returns {(ListEntry | TaskEntry)[][]} the polls that replace it: always more, and smaller
     */
    divide(entries: (ListEntry | TaskEntry)[], { code, tooLarge }: Refusal): (ListEntry | TaskEntry)[][];
    /**
     * A poll with this entry alone was refused: it is not polled any more.
     * @param {ListEntry | TaskEntry} entry
     * @param {Refusal} refusal
     * @returns {ServerMessage} the answer to its join
     */
    refuse(entry: ListEntry | TaskEntry, { code, message }: Refusal): ServerMessage;
    /**
     * The messages of an answer, as a WebSocket would have sent them. A position advances when its message is taken, so
     * a caller that stops early receives the rest again with the next poll.
     * @param {PollAnswer} answer
     * @returns {Generator<ServerMessage, void, void>}
     */
    messagesOf(answer: PollAnswer): Generator<ServerMessage, void, void>;
    #private;
}
import type { ServerMessage } from "../messages.js";
export type { ServerMessage };
import type { PollAnswer } from "../polls.js";
export type { PollAnswer };
export type PollBody = import("../polls.js").Poll;
import type { PolledTask } from "../polls.js";
export type { PolledTask };
/**
 * One thing that is polled. `request`: the id of the join that its states answer. `proven`: the relay answered a poll
 * with it, so it is not at fault. `share`: see batches.js.
 */
export type Entry<A> = {
    request: string;
    asked: A;
    proven: boolean;
    share?: number;
};
export type ListEntry = Entry<{
    limit?: number;
    etag?: string;
    updates?: boolean;
}>;
/**
 * `shown`: the application has some of its content
 */
export type TaskEntry = Entry<PolledTask> & {
    shown: boolean;
};
/**
 * Why a poll was refused as a whole. `tooLarge`: it had too many bytes.
 */
export type Refusal = {
    code: import("../messages.js").ErrorCode;
    message: string;
    tooLarge: boolean;
};
import { Moments } from "./moments.js";
