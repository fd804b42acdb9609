// @ts-check
// What a tree of components knows of the relay: one connection, and each task joined once. Without React.
//
// Rules of this file: a snapshot changes only together with telling so; what changes between two
// frames is told once; only watching joins and only `open` connects, never reading.

import { browser } from "../client/host.js";
import { Relay } from "../client/index.js";
import { Listeners } from "../client/listeners.js";
import { Retries } from "../client/retries.js";
import { subjectOf } from "../client/token.js";
import { nextFrame } from "./machine.js";
import {
  connectionAfter, dashboardSource, LOADING_DASHBOARD, LOADING_TASK, NOT_YET_CONNECTED, taskSource,
} from "./snapshots.js";
import { LINGER_MS, Subscription } from "./subscription.js";
import { RENEW_MS, TokenSource } from "./token-source.js";

/** @typedef {import("../client/tokens.js").GetToken} GetToken */
/** @typedef {import("../client/tokens.js").MaybeToken} MaybeToken */
/** @typedef {import("../client/index.js").Host} Host */
/** @typedef {import("../client/index.js").ServerMessage} ServerMessage */
/** @typedef {import("../client/index.js").Status} Status */
/** @typedef {import("../client/index.js").TaskList} TaskList */
/** @typedef {import("../client/index.js").Timeline} Timeline */
/** @typedef {import("../client/index.js").Unsubscribe} Unsubscribe */
/** @typedef {import("./snapshots.js").DashboardSnapshot} DashboardSnapshot */
/** @typedef {import("./snapshots.js").TaskSnapshot} TaskSnapshot */

export class Store {
  /** How the connection is. */
  connection = NOT_YET_CONNECTED;

  #host;
  #frame;
  /** @type {Relay | null} */
  #relay = null;
  #url = "";
  #source;
  #retries = new Retries();
  /** @type {any} */
  #closing;
  #renewedAt = -Infinity;
  /** @type {any} */
  #renewing;
  /** @type {Subscription<TaskList, DashboardSnapshot> | null} */
  #dashboard = null;
  /** @type {Map<string, Subscription<Timeline, TaskSnapshot>>} */
  #tasks = new Map();
  /** @type {Set<{update: () => void}>} */
  #changed = new Set();
  /** @type {Listeners<void>} */
  #connectionListeners = new Listeners();
  /** @type {Listeners<ServerMessage>} */
  #messageListeners = new Listeners();

  /**
   * @param {object} [surroundings] parts to replace, as in tests
   * @param {Partial<Host>} [surroundings.host]
   * @param {(call: () => void) => void} [surroundings.frame] calls with the next frame
   */
  constructor({ host, frame = nextFrame } = {}) {
    this.#host = { ...browser, ...host };
    this.#frame = frame;
    this.#source = new TokenSource(this.#host, () => this.#relay?.renew());
  }

  /**
   * A token, none, or a function that is asked for one. Another text counts at once; one of another user, or
   * of one that it does not name readably, connects again and drops everything of the first user. So does none:
   * nobody is signed in. Another function is asked from now on, and at once where a token is waited for.
   * @param {MaybeToken | GetToken} token
   */
  set token(token) {
    if (token === this.#source.token) return;
    this.#source.token = token;
    if (typeof token === "function") this.#renewSoon();
    else if (this.#relay?.isOfAnother(token)) this.#reconnect();
    else this.#relay?.renew();
  }

  /**
   * Connects, or stays connected, until a while after the function it returns is called. Another
   * address connects anew, and what is watched is joined there.
   * @param {string} url
   * @returns {() => void}
   */
  open(url) {
    this.#host.clearTimeout(this.#closing);
    if (url !== this.#url) {
      this.#close();
      this.#retries = new Retries();
    }
    if (this.#relay === null) this.#connect(url);
    return () => {
      this.#closing = this.#host.setTimeout(() => this.#close(), LINGER_MS);
    };
  }

  /** Connects at once instead of waiting, after a refusal too. */
  retry = () => this.#relay?.retry();

  /**
   * Every message, also before there is a connection.
   * @param {(message: ServerMessage) => void} listener
   * @returns {Unsubscribe}
   */
  onMessage = (listener) => this.#messageListeners.add(listener);

  /**
   * @param {() => void} watcher
   * @returns {Unsubscribe}
   */
  watchConnection = (watcher) => this.#connectionListeners.add(watcher);

  get dashboard() {
    return this.#dashboard?.snapshot ?? LOADING_DASHBOARD;
  }

  /**
   * @param {() => void} watcher
   * @param {number} [limit] the first one's counts
   * @returns {Unsubscribe}
   */
  watchDashboard(watcher, limit) {
    this.#dashboard ??= this.#subscribe(dashboardSource(limit), () => (this.#dashboard = null));
    return this.#dashboard.watch(watcher);
  }

  /** @param {string} taskId */
  task(taskId) {
    return this.#tasks.get(taskId)?.snapshot ?? LOADING_TASK;
  }

  /**
   * @param {string} taskId
   * @param {() => void} watcher
   * @returns {Unsubscribe}
   */
  watchTask(taskId, watcher) {
    const subscription = this.#tasks.get(taskId)
      ?? this.#subscribe(taskSource(taskId), () => this.#tasks.delete(taskId));
    this.#tasks.set(taskId, subscription);
    return subscription.watch(watcher);
  }

  /**
   * @template {import("./subscription.js").View} V
   * @template S
   * @param {import("./subscription.js").Source<V, S>} source
   * @param {() => void} onEnd
   */
  #subscribe(source, onEnd) {
    /** @type {Subscription<V, S>} */
    const subscription = new Subscription({
      source,
      host: this.#host,
      onChange: () => this.#invalidate(subscription),
      onEnd,
    });
    if (this.#relay) subscription.join(this.#relay);
    return subscription;
  }

  /** @param {{update: () => void}} subscription */
  #invalidate(subscription) {
    if (this.#changed.size === 0) this.#frame(() => this.#update());
    this.#changed.add(subscription);
  }

  #update() {
    const changed = [...this.#changed];
    this.#changed.clear();
    for (const subscription of changed) subscription.update();
  }

  #renewSoon() {
    if (this.#relay?.status.state !== "offline") return;
    this.#host.clearTimeout(this.#renewing);
    const waitMs = Math.max(0, this.#renewedAt + RENEW_MS - this.#host.now());
    this.#renewing = this.#host.setTimeout(() => {
      this.#renewedAt = this.#host.now();
      this.#relay?.renew();
    }, waitMs);
  }

  #reconnect() {
    this.#close();
    this.#update(); // nothing of the other user's is shown until the next frame
    this.#connect(this.#url);
  }

  async #askToken() {
    const relay = this.#relay;
    const token = await this.#source.ask();
    const isReadable = typeof token === "string" && subjectOf(token) !== undefined;
    if (isReadable && relay !== null && relay === this.#relay && relay.isOfAnother(token)) this.#reconnect();
    return token;
  }

  /** @param {string} url */
  #connect(url) {
    const relay = new Relay({ url, token: () => this.#askToken(), host: this.#host }, this.#retries);
    this.#url = url;
    this.#relay = relay;
    relay.onStatus((status) => this.#become(status));
    relay.onMessage((message) => this.#messageListeners.tell(message));
    this.#become(relay.status);
    if (relay !== this.#relay) return; // who was told has changed the token
    for (const subscription of this.#subscriptions()) subscription.join(relay);
  }

  #close() {
    if (this.#relay === null) return;
    this.#host.clearTimeout(this.#renewing);
    this.#source.close();
    for (const subscription of this.#subscriptions()) subscription.leave();
    this.#relay.close();
    this.#relay = null;
    this.connection = NOT_YET_CONNECTED;
    this.#connectionListeners.tell();
  }

  /** @param {Status} status */
  #become(status) {
    this.connection = connectionAfter(this.connection, status, this.#host.now());
    this.#connectionListeners.tell();
  }

  #subscriptions() {
    return this.#dashboard ? [this.#dashboard, ...this.#tasks.values()] : [...this.#tasks.values()];
  }
}
