// @ts-check
// The transport over long polling, for networks that block WebSocket.
//
// Rules of this file:
// - Whenever a join or leave changes what is polled, all polls are aborted and sent again. This loses nothing, because
//   positions advance only with messages that were delivered.
// - A poll that is refused as a whole is divided, until the entry at fault is alone. Only that entry ends.

import { Pace, costOfTasks } from "../pace.js";
import { RATE_LIMITED } from "../protocol.js";
import { expiryOf, subjectOf } from "../token.js";
import { isLong } from "../tokens.js";
import { NOT_FOUND, answerOf, request } from "./http.js";
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
const PACE_MS = 500; // between two polls while each one has content
const MAX_REFUSALS = 3; // in a row because a poll came too fast; fewer only delay the next poll

/** @implements {Transport} */
export class PollingTransport {
  name = /** @type {const} */ ("polling");

  #url;
  #configUrl;
  #token;
  #host;
  #onClaims;
  #onMessage;
  #onEnd;
  #over = false;
  #requests = 0;
  #offered = ""; // the id of the request with a token that no poll has proven yet; "" for none
  #state;
  #isScheduled = true; // true until the relay accepts the token, so that nothing is polled before
  #round = new AbortController(); // aborts the polls under way
  /** @type {Set<(ListEntry | TaskEntry)[]>} The entries of each poll under way. */
  #polls = new Set();
  #pace = new Pace();

  /** @param {TransportOptions & {url: string | URL, configUrl: string | URL, moments?: Moments}} options */
  constructor({ url, configUrl, token, host, onOpen, onClaims, onMessage, onEnd, moments }) {
    this.#state = new PollState(moments);
    this.#url = url;
    this.#configUrl = configUrl;
    this.#token = token;
    this.#host = host;
    this.#onClaims = onClaims;
    this.#onMessage = onMessage;
    this.#onEnd = onEnd;
    this.#open(onOpen);
  }

  /**
   * @param {string} type
   * @param {object} data
   */
  send(type, data) {
    const id = `p${++this.#requests}`;
    if (type === "auth") {
      this.#token = /** @type {{token: string}} */ (data).token;
      this.#pollAgain();
      return (this.#offered = id);
    }
    const isAnswered = this.#state.ask(type, data, id);
    this.#pollAgain();
    return isAnswered ? id : undefined;
  }

  /** Polls again: a poll on a network that is gone would only end after 35 s. */
  checkAlive() {
    this.#pollAgain();
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
    else if (typeof config.body.enabled !== "boolean") this.#end(NOT_FOUND);
    else if (!config.body.enabled) this.#end({ code: 4502, reason: "feature_disabled" });
    else {
      this.#isScheduled = false;
      onOpen();
    }
  }

  /**
   * Finds out whether the origin of the page is not allowed. A browser hides the answers that this page may not read,
   * but the relay lets every page read its answer to a request without a token if only the origin is wrong.
   * @param {Ending} ending
   * @returns {Promise<Ending>}
   */
  async #unexplained(ending) {
    const { signal } = this.#round;
    const { ending: explained } = await this.#fetch(this.#configUrl, { headers: {} }, OPENING_TIMEOUT_MS, signal);
    return explained?.reason === "origin_not_allowed" ? explained : ending;
  }

  /** Polls for everything that was joined in one turn of the event loop. */
  #pollAgain() {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    queueMicrotask(() => {
      this.#isScheduled = false;
      if (this.#over) return;
      this.#round.abort();
      this.#round = new AbortController();
      const { signal } = this.#round;
      this.#polls.clear();
      for (const entries of this.#state.polls()) this.#poll(entries, signal);
    });
  }

  /**
   * Sends one poll after the other, until the round is aborted.
   * @param {(ListEntry | TaskEntry)[]} entries of each poll
   * @param {AbortSignal} signal
   */
  async #poll(entries, signal) {
    this.#polls.add(entries);
    let refusals = 0;
    while (!signal.aborted) {
      const startedAt = this.#host.now();
      // After a poll that came too fast, all polls share the pace of the relay.
      const turnMs = this.#pace.waitMs(startedAt);
      if (turnMs > 0) {
        await this.#sleep(turnMs, signal);
        continue;
      }
      this.#pace.spend(costOfTasks(entries.length));
      const init = { method: "POST", body: JSON.stringify(this.#state.body(entries)) };
      const { body, ending, refusal, size = 0 } = await this.#fetch(this.#url, init, POLL_TIMEOUT_MS, signal);
      if (signal.aborted) return;
      if (refusal) return this.#divide(entries, refusal, signal);
      if (ending?.afterMs !== undefined && ending.code === RATE_LIMITED) {
        this.#pace.refused(ending.afterMs, this.#host.now());
        refusals += 1;
        if (refusals < MAX_REFUSALS) continue;
      }
      if (ending) return this.#end(ending);
      if (!Array.isArray(body.messages)) return this.#end(NOT_FOUND);
      refusals = 0;
      this.#onClaims(body.claims ?? this.#claimsOfToken());
      this.#accept();
      if (signal.aborted) return;
      this.#state.prove(entries);
      for (const message of this.#state.messagesOf(body)) {
        this.#onMessage(message, size);
        if (signal.aborted) return;
      }
      if (this.#rejoin()) return;
      if (!body.more) await this.#sleep(startedAt + PACE_MS - this.#host.now(), signal);
    }
  }

  /** A poll was answered, so its token is accepted. A WebSocket says that by a message. */
  #accept() {
    if (this.#offered === "") return;
    const replyTo = this.#offered;
    this.#offered = "";
    this.#onMessage({ type: "auth:ok", data: { expiresAt: expiryOf(this.#token) }, replyTo }, 0);
  }

  /**
   * @param {(ListEntry | TaskEntry)[]} entries of a poll that was refused as a whole
   * @param {Refusal} refusal
   * @param {AbortSignal} signal
   */
  #divide(entries, refusal, signal) {
    this.#polls.delete(entries);
    if (entries.length === 1) this.#onMessage(this.#state.refuse(entries[0], refusal), 0);
    else for (const part of this.#state.divide(entries, refusal)) this.#poll(part, signal);
    this.#rejoin();
  }

  /** The user alone, as of a relay that says nothing of claims. */
  #claimsOfToken() {
    const sub = subjectOf(this.#token);
    return sub === undefined ? {} : { sub: [sub] };
  }

  /** Joins divided polls again once the entry at fault was found. */
  #rejoin() {
    if (this.#state.isSearching || this.#state.polls().length >= this.#polls.size) return false;
    this.#pollAgain();
    return true;
  }

  /**
   * @param {string | URL} url
   * @param {RequestInit} init
   * @param {number} timeoutMs
   * @param {AbortSignal} signal
   * @returns {Promise<import("./http.js").Answer & {size?: number}>} `size`: characters of the answer
   */
  async #fetch(url, init, timeoutMs, signal) {
    const headers = { authorization: `Bearer ${this.#token}`, "content-type": "application/json" };
    const token = this.#token;
    const answer = await request(this.#host, url, { headers, ...init, signal, timeoutMs });
    if ("failed" in answer) return { ending: { code: ABNORMAL, reason: answer.failed } };
    return { ...answerOf(answer.status, answer.text, isLong(token)), size: answer.text.length };
  }

  /**
   * @param {number} ms
   * @param {AbortSignal} signal ends the wait early
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
