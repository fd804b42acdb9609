// @ts-check
// The panel: what `debug()` reports, in words and tables. It reads, and changes nothing of the connection.

import { reportText } from "./report.js";
import { make, setText, Table } from "./table.js";

/** @typedef {import("../client/index.js").DebugReport} DebugReport */
/** @typedef {import("../client/index.js").Status} Status */
/** @typedef {import("./texts.js").Texts} Texts */

const FACTS = /** @type {const} */ ([
  "state", "next", "transport", "heard", "received", "delay", "reconnects", "issued", "expires",
]);

export class Panel {
  /** What to show: a heading, the facts, the tables. */
  elements;
  #debug;
  #texts;
  #explain;
  #times;
  #why = make("p", { class: "why" });
  #facts = new Map(FACTS.map((fact) => [fact, make("dd", { dir: "auto" })]));
  #rooms;
  #statuses;
  #messages;
  #copied = make("span", { role: "status" });
  #byHand = make("div", { hidden: "" });
  #text = /** @type {HTMLTextAreaElement} */ (make("textarea", { readonly: "", rows: "8" }));

  /**
   * @param {object} options
   * @param {() => DebugReport | undefined} options.debug
   * @param {Texts} options.texts
   * @param {string} options.lang of the times
   * @param {(status: Status) => string} options.explain why the connection is as it is, as a sentence; "" for nothing
   * @param {HTMLElement[]} options.buttons after that for the report
   */
  constructor({ debug, texts, lang, explain, buttons }) {
    this.#debug = debug;
    this.#texts = texts;
    this.#explain = explain;
    this.#times = new Intl.DateTimeFormat(lang, { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 });
    this.#rooms = new Table(texts.rooms, [texts.room, texts.state, texts.phase, texts.held, texts.position]);
    this.#statuses = new Table(texts.statuses, [texts.time, texts.state, texts.reason, texts.code]);
    this.#messages = new Table(texts.messages, [texts.time, texts.type, texts.room, texts.size]);
    const copy = make("button", { type: "button" }, [texts.copy]);
    copy.addEventListener("click", () => this.#copy());
    this.#text.setAttribute("aria-label", texts.report);
    this.#byHand.append(make("p", {}, [texts.notCopied]), this.#text);
    const facts = FACTS.flatMap((fact) => [make("dt", {}, [texts[fact]]), /** @type {HTMLElement} */ (this.#facts.get(fact))]);
    this.elements = [
      make("header", {}, [make("h2", { id: "title" }, [texts.title]), this.#copied, copy, ...buttons]),
      this.#byHand,
      this.#why,
      make("dl", {}, facts),
      ...this.#rooms.elements,
      ...this.#statuses.elements,
      ...this.#messages.elements,
    ];
  }

  /** Shows how it is now. */
  update() {
    const report = this.#debug();
    if (report === undefined) return setText(this.#why, this.#texts.notConnected);
    const { state, why, code, nextTryAt, transport, heardAt, delaysMs, token } = report;
    setText(this.#why, this.#explain({ state, reason: why, nextTryAt }));
    const most = Math.max(...delaysMs);
    const median = [...delaysMs].sort((a, b) => a - b)[delaysMs.length >> 1];
    /** @type {Record<typeof FACTS[number], string>} */
    const facts = {
      state: [state, why, code].filter((word) => word !== undefined).join(" · "),
      next: this.#time(nextTryAt),
      transport: transport ?? this.#texts.none,
      heard: this.#time(heardAt),
      received: String(report.received),
      delay: median === undefined ? "–" : `${Math.round(median)} ms (≤ ${Math.round(most)} ms)`,
      reconnects: String(report.reconnects),
      issued: this.#date(token?.issuedAt),
      expires: this.#date(token?.expiresAt),
    };
    for (const fact of FACTS) setText(/** @type {HTMLElement} */ (this.#facts.get(fact)), facts[fact]);
    this.#rooms.show(report.rooms.map(({ room, state: shown, phase, held, since, head }) => (
      [this.#room(room), shown, phase, held, since === undefined ? "" : `${since} · ${head}`]
    )));
    this.#statuses.show(report.statuses.reverse().map(({ at, state: was, reason, code: ended }) => (
      [this.#time(at), was, reason, ended]
    )));
    this.#messages.show(report.messages.reverse().map(({ at, type, room, size }) => (
      [this.#time(at), type, this.#room(room), size]
    )));
  }

  async #copy() {
    const report = this.#debug();
    if (report === undefined) return;
    const text = reportText(report, globalThis.navigator?.userAgent ?? "");
    try {
      await navigator.clipboard.writeText(text); // there is no clipboard in a page that is not secure
      this.#byHand.hidden = true;
      this.#copied.textContent = this.#texts.copied;
    } catch {
      this.#byHand.hidden = false;
      this.#copied.textContent = "";
      this.#text.value = text;
      this.#text.select();
    }
  }

  /** @param {string | null} [room] */
  #room(room) {
    return room === null ? this.#texts.list : room;
  }

  /** @param {number} [ms] since the epoch */
  #time(ms) {
    return ms === undefined ? "–" : this.#times.format(ms);
  }

  /** @param {number} [ms] since the epoch */
  #date(ms) {
    return ms === undefined ? "–" : new Date(ms).toISOString();
  }
}
