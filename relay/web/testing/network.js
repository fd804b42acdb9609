// @ts-check
// The environment of a client without the world around it: a clock that a test moves, and sockets to a fake relay.
//
// Rules of this file:
// - Nothing here uses a timer of the environment, so a test may replace those. Whatever happens by itself happens in
//   microtasks of promises.
// - A frame or an end is never delivered within the call that causes it, as in a browser.

/** @typedef {import("../client/host.js").Host} Host */
/** @typedef {import("../client/host.js").HostEvent} HostEvent */

const QUIET_TURNS = 25; // after this many microtasks without activity everything has settled
const OPEN = 1;
const CLOSED = 3;
const ABNORMAL = 1006;

export class Network {
  isOnline = true;
  #time = Date.now();
  #activity = 0;
  #onSocket;
  /** @type {Set<{at: number, call: () => void}>} */
  #timers = new Set();
  /** @type {Set<{event: HostEvent, call: () => void}>} */
  #listeners = new Set();
  /** @type {Set<Socket>} */
  #sockets = new Set();

  /** @param {(socket: Socket) => void} onSocket called for each socket that gets through */
  constructor(onSocket) {
    this.#onSocket = onSocket;
  }

  /** @type {Host} */
  host = {
    now: () => this.#time,
    random: () => 0.5,
    setTimeout: (call, ms) => {
      const timer = { at: this.#time + Math.max(0, ms), call };
      this.#timers.add(timer);
      return timer;
    },
    clearTimeout: (timer) => void this.#timers.delete(timer),
    openSocket: (url) => /** @type {any} */ (this.#open(String(url))),
    fetch: (url, init) => this.#answer(String(url), init),
    on: (event, call) => {
      const listener = { event, call };
      this.#listeners.add(listener);
      return () => void this.#listeners.delete(listener);
    },
    nextFrame: (call) => this.#soon(call),
  };

  /** Ends every socket without an explanation, and lets none through. */
  goOffline() {
    this.isOnline = false;
    for (const socket of this.#sockets) socket.end(ABNORMAL, "");
    this.#dispatch("offline");
  }

  goOnline() {
    this.isOnline = true;
    this.#dispatch("online");
  }

  /** Lets a client that waits try at once, as when a page becomes visible. */
  wake() {
    this.#dispatch("visible");
  }

  /** Resolves when nothing happens by itself any more. */
  async settled() {
    for (let quiet = 0; quiet < QUIET_TURNS; quiet += 1) {
      const before = this.#activity;
      await null;
      if (before !== this.#activity) quiet = 0;
    }
  }

  /**
   * Lets time pass: the timers of the clients and of the relay fire in their order.
   * @param {number} ms
   */
  async advance(ms) {
    await this.settled();
    const until = this.#time + ms;
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= until).sort((one, other) => one.at - other.at)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#time = Math.max(this.#time, due.at);
      due.call();
      await this.settled();
    }
    this.#time = until;
  }

  /** @param {() => void} call */
  #soon(call) {
    this.#activity += 1;
    void Promise.resolve().then(() => {
      this.#activity += 1;
      call();
    });
  }

  /** @param {string} url */
  #open(url) {
    const socket = new Socket(url, (call) => this.#soon(call), () => this.#sockets.delete(socket));
    this.#sockets.add(socket);
    this.#soon(() => {
      if (!this.isOnline) socket.end(ABNORMAL, "");
      else if (socket.readyState !== CLOSED) this.#onSocket(socket);
    });
    return socket;
  }

  /**
   * Says that live delivery is switched on. No poll is answered: there is always a WebSocket.
   * @param {string} url
   * @param {RequestInit} init
   * @returns {Promise<any>}
   */
  #answer(url, init) {
    return new Promise((answer, fail) => {
      this.#soon(() => {
        if (!this.isOnline) fail(new TypeError("the network is gone"));
        else if (url.endsWith("/config")) answer({ status: 200, text: async () => '{"enabled": true}' });
      });
      init.signal?.addEventListener("abort", () => fail(new TypeError("aborted")));
    });
  }

  /** @param {HostEvent} event */
  #dispatch(event) {
    for (const listener of [...this.#listeners]) {
      if (listener.event === event) this.#soon(() => this.#listeners.has(listener) && listener.call());
    }
  }
}

/** One end of a connection: the part of a WebSocket that the client uses, and what the relay does with it. */
export class Socket {
  readyState = 0;
  /** @type {((event: {data: string}) => void) | null} */
  onmessage = null;
  /** @type {((event: {code: number, reason: string}) => void) | null} */
  onclose = null;
  /** @type {(() => void) | null} */
  onopen = null;
  /** @type {(() => void) | null} */
  onerror = null;
  /** @type {(frame: any) => void} what the relay does with a request */
  onRequest = () => {};
  /** @type {() => void} what the relay does at the end */
  onEnd = () => {};
  #soon;
  #released;

  /**
   * @param {string} url
   * @param {(call: () => void) => void} soon
   * @param {() => void} released called at the end
   */
  constructor(url, soon, released) {
    this.url = url;
    this.#soon = soon;
    this.#released = released;
  }

  /** @param {string} frame */
  send(frame) {
    this.#soon(() => this.readyState === OPEN && this.onRequest(JSON.parse(frame)));
  }

  close() {
    this.readyState = CLOSED;
    this.#released();
    this.onEnd();
  }

  /**
   * Sends a message to the client.
   * @param {object} message
   */
  deliver(message) {
    const data = JSON.stringify(message);
    this.#soon(() => this.readyState === OPEN && this.onmessage?.({ data }));
  }

  /**
   * Ends the connection, after what was sent before.
   * @param {number} code
   * @param {string} reason
   */
  end(code, reason) {
    this.#soon(() => {
      if (this.readyState === CLOSED) return;
      this.close();
      this.onclose?.({ code, reason });
    });
  }
}
