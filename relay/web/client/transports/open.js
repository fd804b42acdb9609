// @ts-check
// Opens the transports of a connection: a WebSocket, or long polling where none can be had.

import { Moments } from "./moments.js";
import { PollingTransport } from "./polling.js";
import { WebSocketTransport } from "./websocket.js";

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
  /** Whether a WebSocket can be made here; true until `new WebSocket` throws. */
  hasSockets = true;

  #endpoints;
  #host;
  #reports;
  // Shared by all polls: an instance that is behind must not answer a later conversation with an older state.
  #moments = new Moments();

  /**
   * @param {Endpoints} endpoints
   * @param {import("../host.js").Host} host
   * @param {Reports} reports
   */
  constructor(endpoints, host, reports) {
    this.#endpoints = endpoints;
    this.#host = host;
    this.#reports = reports;
  }

  /**
   * @param {string} token
   * @param {number} [limit] of the list that the request joins, if it joins one
   * @returns {Transport | null} null where no WebSocket can be made, as in Node before 22 or in a sandbox
   */
  openSocket(token, limit) {
    try {
      /** @type {Transport} */
      const transport = new WebSocketTransport({
        ...this.#options(token, () => transport), url: limit === undefined ? this.#endpoints.socket : joining(this.#endpoints.socket, limit),
      });
      this.hasSockets = true;
      return transport;
    } catch {
      this.hasSockets = false;
      return null;
    }
  }

  /**
   * @param {string} token
   * @returns {Transport}
   */
  openPolling(token) {
    const { poll, config } = this.#endpoints;
    /** @type {Transport} */
    const transport = new PollingTransport({
      ...this.#options(token, () => transport), url: poll, configUrl: config, moments: this.#moments,
    });
    return transport;
  }

  /**
   * @param {string} token
   * @param {() => Transport} transport known only when its constructor has returned
   * @returns {import("./transport.js").TransportOptions}
   */
  #options(token, transport) {
    const { opened, claimed, received, ended } = this.#reports;
    return {
      token,
      host: this.#host,
      onOpen: () => opened(transport(), token),
      onClaims: (claims) => claimed(transport(), claims),
      onMessage: (message, size) => received(transport(), message, size),
      onEnd: (ending) => ended(transport(), ending),
    };
  }
}

/**
 * The address of a WebSocket whose request joins the list (PROTOCOL.md section 1).
 * @param {URL} socket
 * @param {number} limit
 */
function joining(socket, limit) {
  const url = new URL(socket);
  url.pathname += "/dashboard";
  url.searchParams.set("limit", String(limit));
  return url;
}
