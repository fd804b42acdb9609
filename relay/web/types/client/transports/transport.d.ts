/** @typedef {import("../messages.js").ServerMessage} ServerMessage */
/**
 * The values that claims of a user have, by the name of the claim.
 * @typedef {{readonly [claim: string]: readonly string[]}} Claims
 */
/**
 * - `send` returns the id that the answers carry as `replyTo`, or undefined where no answer follows. It may be called
 *   after `onOpen` only.
 * - `checkAlive`: the network may have changed, so check that the transport still works.
 * - `close` ends the transport. Nothing is called back afterwards.
 * @typedef {object} Transport
 * @property {"websocket" | "polling"} name
 * @property {(type: string, data: object) => string | undefined} send
 * @property {() => void} checkAlive
 * @property {() => void} close
 */
/**
 * Why a transport ended: a close code and reason of PROTOCOL.md section 7, also over long polling, and how long to wait
 * if the relay said so. 1006 is an end without an explanation.
 * @typedef {{code: number, reason: string, afterMs?: number}} Ending
 */
/**
 * @typedef {object} TransportOptions
 * @property {string} token
 * @property {import("../host.js").Host} host
 * @property {() => void} onOpen the relay accepted the token; nothing is joined yet
 * @property {(claims: Claims) => void} onClaims what the user has of the claims that tasks may wait for
 * @property {(message: ServerMessage, size: number) => void} onMessage `size`: characters of the JSON it came in
 * @property {(ending: Ending) => void} onEnd called once, and nothing is called after it
 */
export const OPENING_TIMEOUT_MS: 10000;
export const ABNORMAL: 1006;
import type { ServerMessage } from "../messages.js";
export type { ServerMessage };
/**
 * The values that claims of a user have, by the name of the claim.
 */
export type Claims = {
    readonly [claim: string]: readonly string[];
};
/**
 * - `send` returns the id that the answers carry as `replyTo`, or undefined where no answer follows. It may be called
 *   after `onOpen` only.
 * - `checkAlive`: the network may have changed, so check that the transport still works.
 * - `close` ends the transport. Nothing is called back afterwards.
 */
export type Transport = {
    name: "websocket" | "polling";
    send: (type: string, data: object) => string | undefined;
    checkAlive: () => void;
    close: () => void;
};
/**
 * Why a transport ended: a close code and reason of PROTOCOL.md section 7, also over long polling, and how long to wait
 * if the relay said so. 1006 is an end without an explanation.
 */
export type Ending = {
    code: number;
    reason: string;
    afterMs?: number;
};
export type TransportOptions = {
    token: string;
    host: import("../host.js").Host;
    /**
     * the relay accepted the token; nothing is joined yet
     */
    onOpen: () => void;
    /**
     * what the user has of the claims that tasks may wait for
     */
    onClaims: (claims: Claims) => void;
    /**
     * `size`: characters of the JSON it came in
     */
    onMessage: (message: ServerMessage, size: number) => void;
    /**
     * called once, and nothing is called after it
     */
    onEnd: (ending: Ending) => void;
};
