export class PollState {
    /** @param {Moments} [moments] of what is held */
    constructor(moments?: Moments);
    /**
     * What a request of the conversation changes.
     * @param {string} type
     * @param {any} data
     * @param {string} request its id
     * @returns {boolean} whether there will be an answer to it
     */
    ask(type: string, data: any, request: string): boolean;
    /**
     * As few polls as hold all of these.
     * @param {(ListEntry | TaskEntry)[]} [entries]
     * @returns {(ListEntry | TaskEntry)[][]}
     */
    polls(entries?: (ListEntry | TaskEntry)[]): (ListEntry | TaskEntry)[][];
    /**
     * What to post for these.
     * @param {readonly (ListEntry | TaskEntry)[]} entries
     * @returns {PollBody}
     */
    body(entries: readonly (ListEntry | TaskEntry)[]): PollBody;
    /**
     * What to post for everything: as many polls at once as it takes.
     * @returns {PollBody[]}
     */
    bodies(): PollBody[];
    /** @param {readonly (ListEntry | TaskEntry)[]} entries of a poll that was answered */
    prove(entries: readonly (ListEntry | TaskEntry)[]): void;
    /** Whether it is still to be found out what a poll was refused for. */
    get isSearching(): boolean;
    /**
     * A poll for several was refused as a whole.
     * @param {(ListEntry | TaskEntry)[]} entries
     * @param {Refusal} refusal
     * @returns {(ListEntry | TaskEntry)[][]} what to poll in place of it: always more polls, and smaller ones
     */
    divide(entries: (ListEntry | TaskEntry)[], { code, tooLarge }: Refusal): (ListEntry | TaskEntry)[][];
    /**
     * A poll for this alone was refused: it is asked for no more.
     * @param {ListEntry | TaskEntry} entry
     * @param {Refusal} refusal
     * @returns {ServerMessage} as the answer to its join
     */
    refuse(entry: ListEntry | TaskEntry, { code, message }: Refusal): ServerMessage;
    /**
     * The messages an answer stands for, one by one: each counts as told once it has been taken, and
     * who takes no further one is told the rest again.
     * @param {PollAnswer} answer
     * @returns {Generator<ServerMessage, void, void>}
     */
    told(answer: PollAnswer): Generator<ServerMessage, void, void>;
    #private;
}
export type ServerMessage = import("../messages.js").ServerMessage;
export type PollAnswer = import("../messages.js").PollAnswer;
export type PollBody = import("../messages.js").Poll;
export type PolledTask = import("../messages.js").PolledTask;
/**
 * `request`: the join its states answer. `proven`: the relay has answered a poll with it. `share`: see
 * batches.js.
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
}>;
/**
 * `shown`: something of it has been given
 */
export type TaskEntry = Entry<PolledTask> & {
    shown: boolean;
};
/**
 * Why a poll was refused as a whole. `tooLarge`: for its bytes.
 */
export type Refusal = {
    code: import("../messages.js").ErrorCode;
    message: string;
    tooLarge: boolean;
};
import { Moments } from "./moments.js";
