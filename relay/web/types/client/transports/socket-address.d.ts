export class SocketAddress {
    /**
     * @param {URL} url of the WebSocket, as an HTTP address
     * @param {import("../host.js").Host} host
     */
    constructor(url: URL, host: import("../host.js").Host);
    /** Whether the last answer showed that the relay is not there. */
    isWrong: boolean;
    /**
     * Asks now, without a token.
     * @param {() => void} call when the answer has changed `isWrong`; not called after `stop()`
     */
    look(call: () => void): Promise<void>;
    /** Ends the question. */
    stop(): void;
    #private;
}
