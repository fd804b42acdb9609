/** @typedef {import("../messages.js").ServerMessage} ServerMessage */
/**
 * `send` gives the id that the answers carry as `replyTo`, undefined where none will come; only after
 * `onOpen`. `checkAlive`: the network
 * may have changed, make sure that it still works. `close` ends it, and nothing is called back.
 * @typedef {object} Transport
 * @property {"websocket" | "polling"} name
 * @property {(type: string, data: object) => string | undefined} send
 * @property {() => void} checkAlive
 * @property {() => void} close
 */
/**
 * Why it ended: a close code and reason of PROTOCOL.md section 7, whatever the carrier, and how long
 * to wait if the relay said so. 1006 is an end that nobody explained.
 * @typedef {{code: number, reason: string, afterMs?: number}} Ending
 */
/**
 * @typedef {object} TransportOptions
 * @property {string} token
 * @property {import("../host.js").Host} host
 * @property {() => void} onOpen the relay has let us in: it knows nothing of us yet
 * @property {(message: ServerMessage) => void} onMessage
 * @property {(ending: Ending) => void} onEnd once, and nothing after it
 */
export const OPENING_TIMEOUT_MS: 10000;
export const ABNORMAL: 1006;
export type ServerMessage = import("../messages.js").ServerMessage;
/**
 * `send` gives the id that the answers carry as `replyTo`, undefined where none will come; only after
 * `onOpen`. `checkAlive`: the network
 * may have changed, make sure that it still works. `close` ends it, and nothing is called back.
 */
export type Transport = {
    name: "websocket" | "polling";
    send: (type: string, data: object) => string | undefined;
    checkAlive: () => void;
    close: () => void;
};
/**
 * Why it ended: a close code and reason of PROTOCOL.md section 7, whatever the carrier, and how long
 * to wait if the relay said so. 1006 is an end that nobody explained.
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
     * the relay has let us in: it knows nothing of us yet
     */
    onOpen: () => void;
    onMessage: (message: ServerMessage) => void;
    /**
     * once, and nothing after it
     */
    onEnd: (ending: Ending) => void;
};
