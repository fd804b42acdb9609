// A fake host: a clock, sockets and requests that a test controls.

/** @typedef {import("../../relay/web/client/host.js").Host} Host */

export class FakeHost {
  time = 1_000_000;
  /** @type {FakeSocket[]} */
  sockets = [];
  /** @type {FakeRequest[]} */
  requests = [];
  /** @type {(socket: FakeSocket) => void} What the network does with a new socket. */
  onSocket = () => {};
  /** @type {(request: FakeRequest) => void} And with a request. */
  onRequest = () => {};
  randomness = 1 - 1e-9;
  /** @type {{at: number, call: () => void}[]} */
  #timers = [];
  /** @type {{event: string, call: () => void}[]} */
  #listeners = [];

  /** @returns {Host} */
  get host() {
    return {
      now: () => this.time,
      random: () => this.randomness,
      setTimeout: (call, ms) => {
        // Advance by a minimum: a sum of fractions might otherwise never reach the time of the timer.
        const timer = { at: this.time + Math.max(ms, 0.001), call };
        this.#timers.push(timer);
        return timer;
      },
      clearTimeout: (timer) => void (this.#timers = this.#timers.filter((one) => one !== timer)),
      openSocket: (url, protocols) => {
        const socket = new FakeSocket(String(url), protocols);
        this.sockets.push(socket);
        queueMicrotask(() => this.onSocket(socket));
        return /** @type {any} */ (socket);
      },
      fetch: (url, init) => {
        const request = new FakeRequest(String(url), init);
        this.requests.push(request);
        queueMicrotask(() => this.onRequest(request));
        return /** @type {any} */ (request.response);
      },
      on: (event, call) => {
        const listener = { event, call };
        this.#listeners.push(listener);
        return () => void (this.#listeners = this.#listeners.filter((one) => one !== listener));
      },
    };
  }

  get listening() {
    return this.#listeners.length;
  }

  get timers() {
    return this.#timers.length;
  }

  /** @param {string} event */
  async dispatch(event) {
    for (const listener of [...this.#listeners]) if (listener.event === event) listener.call();
    await settled();
  }

  /**
   * Time passes, and what it brings happens in order.
   * @param {number} ms
   */
  async pass(ms) {
    await settled();
    const until = this.time + ms;
    for (;;) {
      const due = this.#timers.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at)[0];
      if (!due) break;
      this.#timers = this.#timers.filter((one) => one !== due);
      this.time = Math.max(this.time, due.at);
      due.call();
      await settled();
    }
    this.time = until;
  }
}

/** Resolves after all pending microtasks. */
export async function settled() {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((done) => setImmediate(done));
}

export class FakeSocket {
  /** @type {((event: {data: string}) => void) | null} */
  onmessage = null;
  /** @type {((event: {code: number, reason: string}) => void) | null} */
  onclose = null;
  /** @type {(() => void) | null} */
  onopen = null;
  readyState = 0;
  closed = false;
  /** @type {{type: string, id: string, data: any}[]} */
  sent = [];
  /** @type {(request: {type: string, id: string, data: any}) => void} */
  onSent = () => {};

  /**
   * @param {string} url
   * @param {string[]} protocols
   */
  constructor(url, protocols) {
    this.url = url;
    this.protocols = protocols;
    this.token = protocols[1]?.slice("bearer.".length);
  }

  /** @param {string} frame */
  send(frame) {
    const request = JSON.parse(frame);
    this.sent.push(request);
    queueMicrotask(() => this.onSent(request));
  }

  close() {
    this.closed = true;
    this.readyState = 3;
  }

  /**
   * What the relay says.
   * @param {number} [heartbeatMs]
   * @param {object} [limits]
   * @param {object} [claims]
   */
  welcome(heartbeatMs = 25_000, limits, claims) {
    this.readyState = 1;
    this.onopen?.();
    this.receive("welcome", { heartbeatMs, limits, claims });
  }

  /**
   * @param {string} type
   * @param {object} data
   * @param {string} [replyTo]
   */
  receive(type, data, replyTo) {
    this.onmessage?.({ data: JSON.stringify({ type, data, replyTo }) });
  }

  /** Ends the socket. Without a code it breaks without an explanation. */
  ends(code = 1006, reason = "") {
    this.readyState = 3;
    this.onclose?.({ code, reason });
  }
}

export class FakeRequest {
  /** @type {(response: Response) => void} */
  #answer = () => {};
  /** @type {(error: Error) => void} */
  #fail = () => {};
  over = false;
  aborted = false;

  /**
   * @param {string} url
   * @param {RequestInit} init
   */
  constructor(url, init) {
    this.url = url;
    this.path = new URL(url).pathname;
    this.token = /** @type {any} */ (init.headers)?.authorization?.slice("Bearer ".length);
    this.body = init.body === undefined ? null : JSON.parse(String(init.body));
    this.response = new Promise((answer, fail) => {
      this.#answer = answer;
      this.#fail = fail;
    });
    init.signal?.addEventListener("abort", () => {
      this.aborted = true;
      this.fails();
    });
  }

  /**
   * @param {number} status
   * @param {unknown} body
   */
  answers(status, body) {
    this.over = true;
    const text = typeof body === "string" ? body : JSON.stringify(body);
    this.#answer(new Response(text, { status }));
  }

  fails() {
    this.over = true;
    this.#fail(new TypeError("the network is gone"));
  }
}
