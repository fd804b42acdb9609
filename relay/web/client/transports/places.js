// @ts-check
// What a polling client asks for and holds, and what an answer means in the messages of a
// conversation (PROTOCOL.md section 8). Pure.

import { MAX_BATCH } from "../protocol.js";
import { Moments } from "./moments.js";

/** @typedef {import("../protocol.js").ServerMessage} ServerMessage */
/** @typedef {import("../protocol.js").PollAnswer} PollAnswer */
/** @typedef {import("../protocol.js").PollBody} PollBody */
/** @typedef {import("../protocol.js").PolledTask} PolledTask */

/**
 * `request`: the join its states answer. `shown`: it has been given one.
 * @typedef {{request: string, asked: PolledTask, shown: boolean}} Place
 */

export class Places {
  /** @type {{request: string, asked: {limit?: number, etag?: string}} | null} */
  #dashboard = null;
  /** @type {Map<string, Place>} */
  #tasks = new Map();
  #moments;
  #stale = false;

  /** @param {Moments} [moments] of what is held */
  constructor(moments = new Moments()) {
    this.#moments = moments;
  }

  /**
   * What a request of the conversation changes.
   * @param {string} type
   * @param {any} data
   * @param {string} request its id
   */
  ask(type, data, request) {
    switch (type) {
      case "dashboard:join":
        this.#dashboard = { request, asked: { ...data } };
        break;
      case "dashboard:leave":
        this.#dashboard = null;
        break;
      case "task:join":
        for (const asked of data.tasks) {
          this.#tasks.set(asked.taskId, { request, asked: { ...asked }, shown: false });
        }
        break;
      case "task:leave":
        this.#tasks.delete(data.taskId);
        break;
    }
  }

  /**
   * What to post: as many polls at once as it takes.
   * @returns {PollBody[]}
   */
  bodies() {
    const tasks = [...this.#tasks.values()].map(({ asked }) => asked);
    /** @type {PollBody[]} */
    const bodies = [];
    for (let start = 0; start < tasks.length; start += MAX_BATCH) {
      bodies.push({ tasks: tasks.slice(start, start + MAX_BATCH) });
    }
    if (this.#dashboard) bodies[0] = { ...bodies[0], dashboard: this.#dashboard.asked };
    const moment = this.#moments.latest;
    return moment === undefined ? bodies : bodies.map((body) => ({ ...body, moment }));
  }

  /**
   * The messages an answer stands for, one by one: each counts as told once it has been taken, and
   * who takes no further one is told the rest again.
   * @param {PollAnswer} answer
   * @returns {Generator<ServerMessage, void, void>}
   */
  *told(answer) {
    let stale = false;
    for (const message of answer.messages) {
      switch (message.type) {
        case "dashboard:state":
          if (this.#dashboard) yield { ...message, replyTo: this.#dashboard.request };
          break;
        case "task:state": {
          const place = this.#tasks.get(message.data.taskId);
          if (!place) break;
          const { taskId, next, head } = message.data;
          place.asked = { taskId, since: next, head };
          place.shown = true;
          yield { ...message, replyTo: place.request };
          break;
        }
        case "error": {
          const place = this.#tasks.get(message.data.taskId ?? "");
          if (!place) break;
          const { taskId } = place.asked;
          const wasShown = place.shown;
          place.asked = { taskId, forbidden: true };
          place.shown = false;
          yield wasShown ? { type: "task:revoked", data: { taskId } } : { ...message, replyTo: place.request };
          break;
        }
        case "stream:status":
          stale = message.data.state === "stale";
          if (stale !== this.#stale) yield message;
          break;
      }
    }
    this.#note(answer);
    if (this.#stale && !stale) yield { type: "stream:status", data: { state: "live", lagMs: 0 } };
    this.#stale = stale;
  }

  /** @param {PollAnswer} answer all of which has been told */
  #note({ dashboard, tasks = {}, moment }) {
    this.#moments.note(moment);
    if (this.#dashboard && dashboard) this.#dashboard.asked.etag = dashboard.etag;
    for (const [taskId, { etag }] of Object.entries(tasks)) {
      const place = this.#tasks.get(taskId);
      if (place) place.asked.etag = etag;
    }
  }
}
