// @ts-check
// What a conversation runs over: the same messages, whatever carries them.

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

export const OPENING_TIMEOUT_MS = 10_000;
export const ABNORMAL = 1006;
