/** @typedef {import("../messages.js").ServerMessage} ServerMessage */
/** @typedef {import("./transport.js").Claims} Claims */
/** @typedef {import("./transport.js").Ending} Ending */
/** @typedef {import("./transport.js").Transport} Transport */
/**
 * `isMixed`: the page came over https and the relay's address is http, so the browser blocks every request.
 * @typedef {{socket: URL, socketOverHttp: URL, poll: URL, config: URL, isMixed: boolean}} Endpoints
 */
/**
 * What a transport reports, and which one did.
 * @typedef {object} Reports
 * @property {(transport: Transport, token: string) => void} opened
 * @property {(transport: Transport, claims: Claims) => void} claimed
 * @property {(transport: Transport, message: ServerMessage, size: number) => void} received
 * @property {(transport: Transport, ending: Ending) => void} ended
 */
export class TransportOpener {
    /**
     * @param {Endpoints} endpoints
     * @param {import("../host.js").Host} host
     * @param {Reports} reports
     */
    constructor(endpoints: Endpoints, host: import("../host.js").Host, reports: Reports);
    /** Whether a WebSocket can be made here; true until `new WebSocket` throws. */
    hasSockets: boolean;
    /**
     * @param {string} token
     * @param {number} [limit] of the list that the request joins, if it joins one
     * @returns {Transport | null} null where no WebSocket can be made, as in Node before 22 or in a sandbox
     */
    openSocket(token: string, limit?: number): Transport | null;
    /**
     * @param {string} token
     * @returns {Transport}
     */
    openPolling(token: string): Transport;
    #private;
}
import type { ServerMessage } from "../messages.js";
export type { ServerMessage };
import type { Claims } from "./transport.js";
export type { Claims };
import type { Ending } from "./transport.js";
export type { Ending };
import type { Transport } from "./transport.js";
export type { Transport };
/**
 * `isMixed`: the page came over https and the relay's address is http, so the browser blocks every request.
 */
export type Endpoints = {
    socket: URL;
    socketOverHttp: URL;
    poll: URL;
    config: URL;
    isMixed: boolean;
};
/**
 * What a transport reports, and which one did.
 */
export type Reports = {
    opened: (transport: Transport, token: string) => void;
    claimed: (transport: Transport, claims: Claims) => void;
    received: (transport: Transport, message: ServerMessage, size: number) => void;
    ended: (transport: Transport, ending: Ending) => void;
};
