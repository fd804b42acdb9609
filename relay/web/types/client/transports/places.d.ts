/** @typedef {import("../protocol.js").ServerMessage} ServerMessage */
/** @typedef {import("../protocol.js").PollAnswer} PollAnswer */
/** @typedef {import("../protocol.js").PollBody} PollBody */
/** @typedef {import("../protocol.js").PolledTask} PolledTask */
/**
 * `request`: the join its states answer. `shown`: it has been given one.
 * @typedef {{request: string, asked: PolledTask, shown: boolean}} Place
 */
export class Places {
    /** @param {Moments} [moments] of what is held */
    constructor(moments?: Moments);
    /**
     * What a request of the conversation changes.
     * @param {string} type
     * @param {any} data
     * @param {string} request its id
     */
    ask(type: string, data: any, request: string): void;
    /**
     * What to post: as many polls at once as it takes.
     * @returns {PollBody[]}
     */
    bodies(): PollBody[];
    /**
     * The messages an answer stands for, one by one: each counts as told once it has been taken, and
     * who takes no further one is told the rest again.
     * @param {PollAnswer} answer
     * @returns {Generator<ServerMessage, void, void>}
     */
    told(answer: PollAnswer): Generator<ServerMessage, void, void>;
    #private;
}
export type ServerMessage = import("../protocol.js").ServerMessage;
export type PollAnswer = import("../protocol.js").PollAnswer;
export type PollBody = import("../protocol.js").PollBody;
export type PolledTask = import("../protocol.js").PolledTask;
/**
 * `request`: the join its states answer. `shown`: it has been given one.
 */
export type Place = {
    request: string;
    asked: PolledTask;
    shown: boolean;
};
import { Moments } from "./moments.js";
