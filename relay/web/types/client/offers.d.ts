export class Offers {
    /**
     * @param {import("./tokens.js").Tokens} tokens
     * @param {import("./host.js").Host} host
     */
    constructor(tokens: import("./tokens.js").Tokens, host: import("./host.js").Host);
    /** @type {string | null} The connection's token; that of the last one, where there is none. */
    token: string | null;
    /** @param {Transport} transport that is open now, with `token` */
    begin(transport: Transport): void;
    /** There is no connection any more. */
    end(): void;
    /** The relay warned of the token's end. From now on one is asked for until another one is there. */
    expiring(): void;
    /** The token function may give another token by now. */
    renew(): void;
    /** @param {import("./messages.js").ServerMessage} message that may answer an offer */
    receive({ type, data, replyTo }: import("./messages.js").ServerMessage): void;
    #private;
}
export type Transport = import("./transports/transport.js").Transport;
