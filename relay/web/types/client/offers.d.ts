export class Offers {
    /**
     * @param {import("./tokens.js").Tokens} tokens
     * @param {import("./host.js").Host} host
     */
    constructor(tokens: import("./tokens.js").Tokens, host: import("./host.js").Host);
    /** @type {string | null} The token of this connection, or of the last one while there is none. */
    token: string | null;
    /** @param {Transport} transport the one that opened with `token` */
    begin(transport: Transport): void;
    /** The connection ended. */
    end(): void;
    /** The relay warned that the token expires. Ask for a fresh one until there is one. */
    expiring(): void;
    /** The token function may now return another token. */
    renew(): void;
    /** @param {import("./messages.js").ServerMessage} message possibly the answer to an offer */
    receive({ type, data, replyTo }: import("./messages.js").ServerMessage): void;
    #private;
}
import type { Transport } from "./transports/transport.js";
export type { Transport };
