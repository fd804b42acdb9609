// @ts-check
// Fresh tokens for a connection that is open: when to ask for one, and what became of it.
//
// Rules of this file: a token is the connection's once the relay says auth:ok; one that the relay refused
// is not offered again, and what comes after it waits; a conversation stays with its user.

import { isSameUser } from "./token.js";

/** @typedef {import("./transports/transport.js").Transport} Transport */

const RETRY_MS = 2_000; // after a fresh token that the relay had no time for, where it names no time
const AGAIN_MS = 5_000; // until the token function has a fresh one, while the old one lives

export class Offers {
  /** @type {string | null} The connection's token; that of the last one, where there is none. */
  token = null;

  #tokens;
  #host;
  /** @type {Transport | null} */
  #transport = null;
  /** @type {{token: string, request: string | undefined} | null} */
  #offer = null;
  /** @type {Set<string>} Tokens that the relay refused to continue this connection with. */
  #refused = new Set();
  #isEnding = false;
  #notBefore = 0; // ms since the epoch
  /** @type {any} */
  #next;

  /**
   * @param {import("./tokens.js").Tokens} tokens
   * @param {import("./host.js").Host} host
   */
  constructor(tokens, host) {
    this.#tokens = tokens;
    this.#host = host;
  }

  /** @param {Transport} transport that is open now, with `token` */
  begin(transport) {
    this.end();
    this.#transport = transport;
  }

  /** There is no connection any more. */
  end() {
    this.#host.clearTimeout(this.#next);
    this.#transport = this.#offer = null;
    this.#refused.clear();
    this.#isEnding = false;
    this.#notBefore = 0;
  }

  /** The relay warned of the token's end. From now on one is asked for until another one is there. */
  expiring() {
    this.#isEnding = true;
    const waitMs = this.#notBefore - this.#host.now();
    if (waitMs > 0) this.#askIn(waitMs);
    else this.#ask();
  }

  /** The token function may give another token by now. */
  renew() {
    if (this.#host.now() >= this.#notBefore) this.#ask();
  }

  /** Offers what the token function gives, if it is another token. */
  async #ask() {
    const transport = this.#transport;
    if (transport === null) return;
    this.#host.clearTimeout(this.#next);
    const { token } = await this.#tokens.ask();
    if (transport !== this.#transport) return;
    if (token !== undefined && token !== this.token && !this.#refused.has(token)) this.#send(transport, token);
    else if (this.#isEnding) this.#askIn(AGAIN_MS);
  }

  /** @param {import("./messages.js").ServerMessage} message that may answer an offer */
  receive({ type, data, replyTo }) {
    if (this.#offer === null || replyTo === undefined || replyTo !== this.#offer.request) return;
    if (type === "auth:ok") this.#accepted(this.#offer.token);
    else if (type === "error") this.#failed(this.#offer.token, data);
  }

  /**
   * @param {Transport} transport
   * @param {string} token
   */
  #send(transport, token) {
    if (transport.name === "polling") {
      // Each poll is let in by itself, so it is here that a conversation stays with its user.
      if (!isSameUser(token, this.token)) return;
      this.token = token;
    }
    this.#offer = { token, request: transport.send("auth", { token }) };
  }

  /** @param {string} token */
  #accepted(token) {
    this.token = token;
    this.#offer = null;
    this.#refused.clear();
    this.#isEnding = false;
    this.#host.clearTimeout(this.#next);
  }

  /**
   * @param {string} token
   * @param {import("./messages.js").Error} error
   */
  #failed(token, { temporary, retryAfterMs = RETRY_MS }) {
    this.#offer = null;
    if (temporary) return this.#askIn(retryAfterMs);
    this.#refused.add(token);
    this.#notBefore = this.#host.now() + AGAIN_MS; // a page may have another one for each refusal
    if (this.#isEnding) this.#askIn(AGAIN_MS);
  }

  /** @param {number} ms */
  #askIn(ms) {
    this.#host.clearTimeout(this.#next);
    this.#next = this.#host.setTimeout(() => this.#ask(), ms);
  }
}
