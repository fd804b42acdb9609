// @ts-check
// The conversation over long polling, for where WebSocket is blocked.
//
// Rules of this file: a poll is thrown away whenever what is asked for changes, and asked anew; that
// loses nothing, because the positions move only with what has been told; a poll that is refused as a
// whole is divided until what it was refused for stands alone, and only that ends.

import { Pace, costOfTasks } from "../pace.js";
import { RATE_LIMITED } from "../protocol.js";
import { PollState } from "./poll-state.js";
import { ABNORMAL, OPENING_TIMEOUT_MS } from "./transport.js";

/** @typedef {import("./transport.js").Ending} Ending */
/** @typedef {import("./transport.js").Transport} Transport */
/** @typedef {import("./transport.js").TransportOptions} TransportOptions */
/** @typedef {import("./moments.js").Moments} Moments */
/** @typedef {import("./poll-state.js").ListEntry} ListEntry */
/** @typedef {import("./poll-state.js").Refusal} Refusal */
/** @typedef {import("./poll-state.js").TaskEntry} TaskEntry */

const POLL_TIMEOUT_MS = 35_000; // the relay answers within 25 s
const PACE_MS = 500; // from one poll to the next, while every one brings something
const MAX_REFUSALS = 3; // of a poll that came too fast, in a row; one of them is only waited for
/** @type {Ending} */
const UNREADABLE = { code: ABNORMAL, reason: "unreadable" }; // whoever it was that answered

/**
 * A body, or why there is none; `refusal` where the relay itself did not like what was asked.
 * @typedef {{body: any, ending?: undefined, refusal?: undefined} | {body?: undefined, ending: Ending, refusal?: Refusal}} Answer
 */

/** @implements {Transport} */
export class PollingTransport {
  name = /** @type {const} */ ("polling");

  #url;
  #configUrl;
  #token;
  #host;
  #onMessage;
  #onEnd;
  #over = false;
  #requests = 0;
  #state;
  #asking = true; // until the relay has let us in, nothing is asked
  #round = new AbortController(); // of the polls under way
  /** @type {Set<(ListEntry | TaskEntry)[]>} what they ask for */
  #polls = new Set();
  #pace = new Pace();

  /** @param {TransportOptions & {url: string | URL, configUrl: string | URL, moments?: Moments}} options */
  constructor({ url, configUrl, token, host, onOpen, onMessage, onEnd, moments }) {
    this.#state = new PollState(moments);
    this.#url = url;
    this.#configUrl = configUrl;
    this.#token = token;
    this.#host = host;
    this.#onMessage = onMessage;
    this.#onEnd = onEnd;
    this.#open(onOpen);
  }

  /**
   * @param {string} type
   * @param {object} data
   */
  send(type, data) {
    if (type === "auth") {
      this.#token = /** @type {{token: string}} */ (data).token;
      this.#askAnew();
      return undefined;
    }
    const id = `p${++this.#requests}`;
    const isAnswered = this.#state.ask(type, data, id);
    this.#askAnew();
    return isAnswered ? id : undefined;
  }

  /** A poll that waits on a network that is gone would wait for long. */
  checkAlive() {
    this.#askAnew();
  }

  close() {
    this.#over = true;
    this.#round.abort();
  }

  /** @param {() => void} onOpen */
  async #open(onOpen) {
    const config = await this.#fetch(this.#configUrl, {}, OPENING_TIMEOUT_MS, this.#round.signal);
    if (this.#over) return;
    if (config.ending?.reason === "network") this.#end(await this.#unexplained(config.ending));
    else if (config.ending) this.#end(config.ending);
    else if (typeof config.body.enabled !== "boolean") this.#end(UNREADABLE);
    else if (!config.body.enabled) this.#end({ code: 4502, reason: "feature_disabled" });
    else {
      this.#asking = false;
      onOpen();
    }
  }

  /**
   * A browser says nothing of an answer that a page of this origin may not read. The relay's to a
   * request without a token is for every page, if the origin is all that is wrong.
   * @param {Ending} ending
   * @returns {Promise<Ending>}
   */
  async #unexplained(ending) {
    const { ending: said } = await this.#fetch(this.#configUrl, { headers: {} }, OPENING_TIMEOUT_MS, this.#round.signal);
    return said?.reason === "origin_not_allowed" ? said : ending;
  }

  /** What is asked for in one turn is asked together. */
  #askAnew() {
    if (this.#asking) return;
    this.#asking = true;
    queueMicrotask(() => {
      this.#asking = false;
      if (this.#over) return;
      this.#round.abort();
      this.#round = new AbortController();
      const { signal } = this.#round;
      this.#polls.clear();
      for (const entries of this.#state.polls()) this.#poll(entries, signal);
    });
  }

  /**
   * One poll after the other, until the round is over.
   * @param {(ListEntry | TaskEntry)[]} entries what they ask for
   * @param {AbortSignal} signal
   */
  async #poll(entries, signal) {
    this.#polls.add(entries);
    let refusals = 0;
    while (!signal.aborted) {
      const startedAt = this.#host.now();
      // Where one poll came too fast, those that are to follow take turns.
      const turnMs = this.#pace.waitMs(startedAt);
      if (turnMs > 0) {
        await this.#sleep(turnMs, signal);
        continue;
      }
      this.#pace.spend(costOfTasks(entries.length));
      const init = { method: "POST", body: JSON.stringify(this.#state.body(entries)) };
      const { body, ending, refusal } = await this.#fetch(this.#url, init, POLL_TIMEOUT_MS, signal);
      if (signal.aborted) return;
      if (refusal) return this.#divide(entries, refusal, signal);
      if (ending?.afterMs !== undefined && ending.code === RATE_LIMITED) {
        this.#pace.refused(ending.afterMs, this.#host.now());
        refusals += 1;
        if (refusals < MAX_REFUSALS) continue;
      }
      if (ending) return this.#end(ending);
      if (!Array.isArray(body.messages)) return this.#end(UNREADABLE);
      refusals = 0;
      this.#state.prove(entries);
      for (const message of this.#state.told(body)) {
        this.#onMessage(message);
        if (signal.aborted) return;
      }
      if (this.#rejoin()) return;
      if (!body.more) await this.#sleep(startedAt + PACE_MS - this.#host.now(), signal);
    }
  }

  /**
   * @param {(ListEntry | TaskEntry)[]} entries of a poll that was refused as a whole
   * @param {Refusal} refusal
   * @param {AbortSignal} signal
   */
  #divide(entries, refusal, signal) {
    this.#polls.delete(entries);
    if (entries.length === 1) this.#onMessage(this.#state.refuse(entries[0], refusal));
    else for (const part of this.#state.divide(entries, refusal)) this.#poll(part, signal);
    this.#rejoin();
  }

  /** Once it has been found out what a poll was refused for, the rest is asked for together again. */
  #rejoin() {
    if (this.#state.isSearching || this.#state.polls().length >= this.#polls.size) return false;
    this.#askAnew();
    return true;
  }

  /**
   * @param {string | URL} url
   * @param {RequestInit} init
   * @param {number} timeoutMs
   * @param {AbortSignal} signal
   * @returns {Promise<Answer>}
   */
  async #fetch(url, init, timeoutMs, signal) {
    const request = new AbortController();
    const abort = () => request.abort();
    signal.addEventListener("abort", abort);
    let silent = false;
    const timer = this.#host.setTimeout(() => {
      silent = true;
      abort();
    }, timeoutMs);
    try {
      const response = await this.#host.fetch(url, {
        headers: { authorization: `Bearer ${this.#token}`, "content-type": "application/json" },
        ...init,
        cache: "no-store",
        credentials: "omit",
        redirect: "error",
        signal: request.signal,
      });
      const text = await response.text();
      return answerOf(response.status, text);
    } catch {
      return { ending: { code: ABNORMAL, reason: silent ? "silent" : "network" } };
    } finally {
      this.#host.clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    }
  }

  /**
   * @param {number} ms
   * @param {AbortSignal} signal that ends it at once
   * @returns {Promise<void>}
   */
  async #sleep(ms, signal) {
    if (ms <= 0 || signal.aborted) return;
    await new Promise((done) => {
      const wake = () => {
        this.#host.clearTimeout(timer);
        signal.removeEventListener("abort", wake);
        done(undefined);
      };
      const timer = this.#host.setTimeout(wake, ms);
      signal.addEventListener("abort", wake);
    });
  }

  /** @param {Ending} ending */
  #end(ending) {
    if (this.#over) return;
    this.close();
    this.#onEnd(ending);
  }
}

/**
 * @param {number} status
 * @param {string} text
 * @returns {Answer}
 */
function answerOf(status, text) {
  /** @type {any} */
  let body = null;
  try {
    body = JSON.parse(text);
  } catch {
    // A parse error would quote the content.
  }
  if (status === 200) return body === null ? { ending: UNREADABLE } : { body };
  const error = body?.data ?? {};
  const ending = endingOf(status, error);
  if ((status !== 400 && status !== 413) || typeof error.code !== "string") return { ending };
  return { ending, refusal: { code: error.code, message: String(error.message), tooLarge: status === 413 } };
}

/**
 * A refusal as the close of a WebSocket would tell it.
 * @param {number} status
 * @param {Partial<import("../messages.js").Error>} error
 * @returns {Ending}
 */
export function endingOf(status, { code, message, retryAfterMs }) {
  switch (status) {
    case 401:
      return { code: 4401, reason: message === "token_expired" ? message : "unauthenticated" };
    case 403:
      // Temporary: the operator may allow the origin later.
      if (message === "origin_not_allowed") return { code: ABNORMAL, reason: message };
      return code === "feature_disabled" ? { code: 4502, reason: code } : { code: 4500, reason: "forbidden" };
    case 400:
    case 413:
      return { code: 1008, reason: code ?? String(status) };
    case 429:
      return { code: RATE_LIMITED, reason: "rate_limited", afterMs: retryAfterMs };
    case 503:
      return { code: 1001, reason: code ?? "unavailable", afterMs: retryAfterMs };
    default: // somebody between us and the relay
      return { code: ABNORMAL, reason: "network" };
  }
}
