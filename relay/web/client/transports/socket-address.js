// @ts-check
// Asks over HTTP whether the relay is at the address of the WebSocket. A browser does not say why a WebSocket failed, so
// this tells a wrong address from a network that lets no WebSocket through.

import { request } from "./http.js";
import { OPENING_TIMEOUT_MS } from "./transport.js";

export class SocketAddress {
  /** Whether the last answer showed that the relay is not there. */
  isWrong = false;

  #url;
  #host;
  #asking = new AbortController();

  /**
   * @param {URL} url of the WebSocket, as an HTTP address
   * @param {import("../host.js").Host} host
   */
  constructor(url, host) {
    this.#url = url;
    this.#host = host;
  }

  /**
   * Asks now, without a token.
   * @param {() => void} call when the answer has changed `isWrong`; not called after `stop()`
   */
  async look(call) {
    this.stop();
    const { signal } = (this.#asking = new AbortController());
    const answer = await request(this.#host, this.#url, { signal, timeoutMs: OPENING_TIMEOUT_MS });
    if (signal.aborted || !("status" in answer)) return;
    const { status } = answer;
    // The relay answers 426 (PROTOCOL.md section 2). A proxy may answer anything else in its place, so only what says
    // that there is nothing, or what is another page, counts.
    const isWrong = status === 404 || (status >= 200 && status < 300);
    if (isWrong === this.isWrong) return;
    this.isWrong = isWrong;
    call();
  }

  /** Ends the question. */
  stop() {
    this.#asking.abort();
  }
}
