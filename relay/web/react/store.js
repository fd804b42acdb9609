// @ts-check
// The state below a provider: one connection, and each task joined once. Independent of React.
//
// Rules of this file:
// - Whenever a snapshot changes, its watchers are notified.
// - All changes between two frames are notified once.
// - Only `open` connects, and only watching joins a task. Reading does neither, because React may render at any time.

import { browser } from "../client/host.js";
import { Relay } from "../client/index.js";
import { Listeners } from "../client/listeners.js";
import { Retries } from "../client/retries.js";
import { subjectOf } from "../client/token.js";
import { nextFrame } from "./machine.js";
import {
  connectionAfter, dashboardSource, LOADING_DASHBOARD, LOADING_TASK, NOBODY, NOT_YET_CONNECTED, taskSource,
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
  /** The connection as components read it. */
  connection = NOT_YET_CONNECTED;
  /** What the user has of the claims that tasks wait for. It changes with a notification of the connection. */
  me = NOBODY;

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
   * @param {object} [environment] parts to replace, as in tests
   * @param {Partial<Host>} [environment.host]
   * @param {(call: () => void) => void} [environment.frame] calls back with the next frame
   */
  constructor({ host, frame = nextFrame } = {}) {
    this.#host = { ...browser, ...host };
    this.#frame = frame;
    this.#source = new TokenSource(this.#host, () => this.#relay?.renew());
  }

  /**
   * A token, none, or a function that returns one.
   *
   * Another token is used at once. If it names another user, or if its user cannot be read, the store connects again
   * and drops everything of the first user; so it does without a token, because nobody is signed in then. Another
   * function is called from now on, and at once if the connection waits for a token.
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
   * Connects, or stays connected, until one second after the returned function is called. For another address, it
   * connects there and joins everything that is watched.
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

  /** Connects now instead of waiting, also after a refusal. */
  retry = () => this.#relay?.retry();

  /**
   * Calls back for every message. It may be called before there is a connection.
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
   * @param {number} [limit] the first watcher decides
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
    this.#update(); // do not show the other user's tasks until the next frame
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
    relay.onMessage((message) => {
      this.#learn(relay);
      this.#messageListeners.emit(message);
    });
    this.#become(relay.status);
    if (relay !== this.#relay) return; // a listener has changed the token meanwhile
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
    this.me = NOBODY;
    this.#connectionListeners.emit();
  }

  /** @param {Relay} relay */
  #learn(relay) {
    if (relay !== this.#relay || relay.me === this.me) return;
    this.me = relay.me;
    this.#connectionListeners.emit();
  }

  /** @param {Status} status */
  #become(status) {
    this.connection = connectionAfter(this.connection, status, this.#host.now());
    this.#connectionListeners.emit();
  }

  #subscriptions() {
    return this.#dashboard ? [this.#dashboard, ...this.#tasks.values()] : [...this.#tasks.values()];
  }
}
