// @ts-check
// Renews the token of an open connection: when to ask for a fresh one, and what the relay answered.
//
// Rules of this file:
// - A fresh token counts once the relay answers `auth:ok`.
// - A token that the relay refused is not offered again on this connection, and the next one has to wait.
// - A connection keeps its user.

import { isSameUser } from "./token.js";

/** @typedef {import("./transports/transport.js").Transport} Transport */

const RETRY_MS = 2_000; // until a token is offered again after a temporary error that names no time
const AGAIN_MS = 5_000; // between two calls of the token function that has no fresh token yet

export class Offers {
  /** @type {string | null} The token of this connection, or of the last one while there is none. */
  token = null;

  #tokens;
  #host;
  /** @type {Transport | null} */
  #transport = null;
  /** @type {{token: string, request: string | undefined} | null} */
  #offer = null;
  /** @type {Set<string>} Tokens that the relay refused on this connection. */
  #refused = new Set();
  #isEnding = false;
  #notBefore = 0; // ms since the epoch
  #heedAfter = 0; // ms since the epoch: an earlier notice that the token ends is one of the token before
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

  /** @param {Transport} transport the one that opened with `token` */
  begin(transport) {
    this.end();
    this.#transport = transport;
  }

  /** The connection ended. */
  end() {
    this.#host.clearTimeout(this.#next);
    this.#transport = this.#offer = null;
    this.#refused.clear();
    this.#isEnding = false;
    this.#notBefore = this.#heedAfter = 0;
  }

  /** The relay warned that the token expires. Ask for a fresh one until there is one. */
  expiring() {
    // While polling, every answer warns.
    if (this.#isEnding || this.#host.now() < this.#heedAfter) return;
    this.#isEnding = true;
    const waitMs = this.#notBefore - this.#host.now();
    if (waitMs > 0) this.#askIn(waitMs);
    else this.#ask();
  }

  /** The token function may now return another token. */
  renew() {
    if (this.#host.now() >= this.#notBefore) this.#ask();
  }

  /** Offers the token that the function returns, if it is another one. */
  async #ask() {
    const transport = this.#transport;
    if (transport === null) return;
    this.#host.clearTimeout(this.#next);
    const { token } = await this.#tokens.ask();
    if (transport !== this.#transport) return;
    if (token !== undefined && token !== this.token && !this.#refused.has(token)) this.#send(transport, token);
    else if (this.#isEnding) this.#askIn(AGAIN_MS);
  }

  /** @param {import("./messages.js").ServerMessage} message possibly the answer to an offer */
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
      // The relay checks each poll by itself, so over long polling this client has to keep the user.
      if (!isSameUser(token, this.token)) return;
      this.token = token;
      // Each answer to a poll warns of a token that is short in itself: that must not ask for the next one each time.
      this.#heedAfter = this.#host.now() + AGAIN_MS;
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
    this.#notBefore = this.#host.now() + AGAIN_MS; // a page may have another token for each refusal
    if (this.#isEnding) this.#askIn(AGAIN_MS);
  }

  /** @param {number} ms */
  #askIn(ms) {
    this.#host.clearTimeout(this.#next);
    this.#next = this.#host.setTimeout(() => this.#ask(), ms);
  }
}
