// @ts-check
// The state below a provider: one connection, and each task joined once. Independent of React.
//
// Rules of this file:
// - Whenever a snapshot changes, its watchers are notified.
// - All changes between two frames are notified once.
// - Only `open` connects, and only watching joins a task. Reading does neither, because React may render at any time.
//   What waits to be rendered at all (`whenLoaded`) is watched until it is there.
// - A store is of one user, as far as the page says who that is. For another one, the provider makes another store.

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

// A component that waited for a list or a task is mounted within this time, and watches it from then on.
const MOUNTED_WITHIN_MS = 5_000;

/** @typedef {string | number | null | undefined} User undefined where the page does not say; null: nobody */

export class Store {
  /** The connection as components read it. */
  connection = NOT_YET_CONNECTED;
  /** What the user has of the claims that tasks wait for. It changes with a notification of the connection. */
  me = NOBODY;

  #host;
  #frame;
  #user;
  /** @type {Relay | null} */
  #relay = null;
  /** Whether the application has made the relay, and closes it. */
  #isForeign = false;
  #unlisten = () => {};
  #url = "";
  #source;
  /** Of this store, and of the one that replaces it. */
  retries;
  /** @type {any} */
  #closing;
  #renewedAt = -Infinity;
  /** @type {any} */
  #renewing;
  /** @type {Subscription<TaskList, DashboardSnapshot> | null} */
  #dashboard = null;
  /** @type {Map<string, Subscription<Timeline, TaskSnapshot>>} */
  #tasks = new Map();
  /** @type {Map<string, Promise<void>>} What components wait for before they are mounted. */
  #loading = new Map();
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
   * @param {User} [environment.user] who the page says its user is; then tokens that cannot be read are that user's
   * @param {Retries} [environment.retries] of the store that this one replaces
   */
  constructor({ host, frame = host?.nextFrame ?? nextFrame, user, retries = new Retries() } = {}) {
    this.#host = { ...browser, ...host };
    this.#frame = frame;
    this.#user = user;
    this.retries = retries;
    this.#source = new TokenSource(this.#host, () => this.#relay?.renew(), user !== undefined);
  }

  /** The connection; null while there is none. */
  get relay() {
    return this.#relay;
  }

  /**
   * Whether what is shown may belong to another user than this token.
   * @param {MaybeToken} token
   */
  isOfAnother(token) {
    if (this.#relay === null || !this.#relay.isOfAnother(token)) return false;
    return this.#user === undefined || !token || subjectOf(token) !== undefined;
  }

  get token() {
    return this.#source.token;
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
    else if (this.isOfAnother(token)) this.#reconnect();
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
      if (this.#url !== "") this.retries = new Retries();
    }
    if (this.#relay === null) this.#connect(url);
    return () => this.#closeLater();
  }

  /**
   * Uses a connection of the application, which is not closed here, until one second after the returned function is
   * called.
   * @param {Relay} relay
   * @returns {() => void}
   */
  use(relay) {
    this.#host.clearTimeout(this.#closing);
    if (this.#relay === null) this.#attach(relay, true);
    return () => this.#closeLater();
  }

  /**
   * Another store has replaced this one, as for another user: drops everything at once, and notifies nobody, because
   * every component reads the other store already.
   */
  end() {
    this.#connectionListeners = new Listeners();
    this.#messageListeners = new Listeners();
    this.#host.clearTimeout(this.#closing);
    this.#close();
    for (const subscription of this.#subscriptions()) subscription.forget();
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
   * Resolves when the list is no longer `loading`. It is joined for that, and left unless somebody watches it then.
   * @param {number} [limit] the first watcher decides
   */
  whenDashboardLoaded(limit) {
    return this.#whenLoaded("list", () => this.dashboard, (watcher) => this.watchDashboard(watcher, limit));
  }

  /**
   * As `whenDashboardLoaded`, for a task.
   * @param {string} taskId
   */
  whenTaskLoaded(taskId) {
    return this.#whenLoaded(`task ${taskId}`, () => this.task(taskId), (watcher) => this.watchTask(taskId, watcher));
  }

  /**
   * @param {string} name
   * @param {() => {state: string}} read
   * @param {(watcher: () => void) => Unsubscribe} watch
   * @returns {Promise<void>} the same one until it is resolved
   */
  #whenLoaded(name, read, watch) {
    const open = this.#loading.get(name);
    if (open !== undefined) return open;
    /** @type {Promise<void>} */
    const promise = new Promise((resolve) => {
      const unwatch = watch(() => {
        if (read().state === "loading" || this.#loading.get(name) !== promise) return;
        this.#loading.delete(name);
        this.#host.setTimeout(unwatch, MOUNTED_WITHIN_MS);
        resolve();
      });
    });
    this.#loading.set(name, promise);
    return promise;
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
    if (isReadable && relay !== null && relay === this.#relay && this.isOfAnother(token)) this.#reconnect();
    return token;
  }

  /** @param {string} url */
  #connect(url) {
    this.#url = url;
    this.#attach(new Relay({ url, token: () => this.#askToken(), host: this.#host }, this.retries), false);
  }

  /**
   * @param {Relay} relay
   * @param {boolean} isForeign
   */
  #attach(relay, isForeign) {
    this.#relay = relay;
    this.#isForeign = isForeign;
    let { sub } = relay.stats;
    const unlisten = [
      relay.onStatus((status) => this.#become(status)),
      relay.onMessage((message) => {
        if (isForeign && relay.stats.sub !== sub) {
          if (sub !== "") this.#startOver(relay);
          sub = relay.stats.sub;
        }
        this.#learn(relay);
        this.#messageListeners.emit(message);
      }),
    ];
    this.#unlisten = () => unlisten.forEach((end) => end());
    this.me = relay.me;
    this.#become(relay.status);
    if (relay !== this.#relay) return; // a listener has changed the token meanwhile
    for (const subscription of this.#subscriptions()) subscription.join(relay);
  }

  /**
   * The application's connection is now that of another user: joins everything again, and shows nothing until then.
   * @param {Relay} relay
   */
  #startOver(relay) {
    for (const subscription of this.#subscriptions()) subscription.leave();
    this.#update();
    for (const subscription of this.#subscriptions()) subscription.join(relay);
  }

  #closeLater() {
    this.#closing = this.#host.setTimeout(() => this.#close(), LINGER_MS);
  }

  #close() {
    if (this.#relay === null) return;
    this.#host.clearTimeout(this.#renewing);
    this.#source.close();
    for (const subscription of this.#subscriptions()) subscription.leave();
    this.#unlisten();
    if (!this.#isForeign) this.#relay.close();
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
