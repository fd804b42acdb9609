// @ts-check
// Shows the open task: its head, steps, callouts and timeline, or why there is nothing to show.

import { reachedAt } from "../view/index.js";
import { Callouts } from "./callouts.js";
import { find, setText } from "./dom.js";
import { EntriesView } from "./entries.js";
import { Head } from "./head.js";
import { canSay, say } from "./language.js";
import { pageSettings } from "./page-settings.js";
import { stays } from "./stays.js";
import { showSteps } from "./steps.js";

/** @import { LinkTemplates, TaskSummary, Timeline } from "../client/index.js" */
/** @import { Me } from "../view/index.js" */
/**
 * What a task is shown with. `listed`: its summary in the list, shown until its own state arrives. `me`: the claims of
 * the user. `links`: where the deployment leads to.
 * @typedef {{listed?: TaskSummary, me: Me, links: LinkTemplates}} Surroundings
 */

const FINAL = new Set(["loading", "deleted", "revoked"]); // in these states, opening the task again changes nothing

export class TaskView {
  #article = find("article.task");
  #empty = find(".detail-empty");
  #steps = find(".steps");
  #entries = new EntriesView();
  #callouts = new Callouts();
  #head = new Head(() => this.#callouts.focusError() || this.#entries.goToEnd());
  /** @type {Timeline | null} */
  #timeline = null;
  /** @type {TaskSummary | null} The summary that is shown. */
  #shown = null;
  /** @type {Omit<Surroundings, "listed"> | null} With what it is shown. */
  #shownWith = null;
  #renderedVersion = -1;
  /** @type {import("../view/index.js").Reached} */
  #reached = new Map();

  /** @param {() => void} reopen opens the task that could not be opened once more */
  constructor(reopen) {
    find(".try-again", this.#empty).addEventListener("click", reopen);
    find(".task-help", this.#empty).href = pageSettings.helpUrl ?? "";
  }

  /** @param {Timeline | null} timeline */
  show(timeline) {
    this.#timeline = timeline;
    this.#renderedVersion = -1;
    this.#forget();
    find(".task-about").scrollTop = 0;
    document.body.classList.toggle("task-open", timeline !== null);
  }

  /** Moves the focus to the task, where it covers the list. */
  focus() {
    find(this.#article.hidden ? ".detail-empty h2" : ".task-title").focus({ preventScroll: true });
  }

  goToEnd() {
    if (!this.#article.hidden) this.#entries.goToEnd();
  }

  /** Opens the field that finds texts in the timeline. */
  find() {
    if (!this.#article.hidden) this.#entries.find();
  }

  /** @param {Surroundings} surroundings */
  render({ listed, me, links }) {
    const timeline = this.#timeline;
    if (!timeline) return;
    const loading = timeline.state === "loading";
    const task = timeline.task ?? (loading ? listed : undefined);
    if (!task) return this.#showReason(timeline.state);
    const isSameTask = task === this.#shown && me === this.#shownWith?.me && links === this.#shownWith.links;
    if (timeline.version === this.#renderedVersion && isSameTask) return;
    this.#empty.hidden = true;
    this.#article.hidden = false;
    this.#article.dataset.taskId = timeline.taskId;
    this.#reached = reachedAt(task, timeline.events);
    if (!isSameTask) this.#head.show(task, me, links);
    this.#callouts.show(task, timeline.events);
    this.#shown = task;
    this.#shownWith = { me, links };
    this.#entries.render(timeline.events);
    find(".timeline-empty").hidden = loading || timeline.events.length > 0;
    this.#renderedVersion = timeline.version;
    this.tick();
  }

  /** Updates the ages. */
  tick() {
    if (!this.#shown || this.#article.hidden) return;
    this.#entries.tick();
    this.#head.tick(stays.enteredAt(this.#shown, this.#timeline?.events ?? []));
    showSteps(this.#steps, this.#shown, this.#reached);
  }

  /** Removes everything of a task from the page. */
  #forget() {
    this.#article.hidden = true;
    this.#article.removeAttribute("data-task-id");
    this.#head.clear();
    this.#callouts.clear();
    this.#shown = null;
    this.#entries.clear();
  }

  /** @param {string} state of the timeline */
  #showReason(state) {
    this.#forget();
    this.#empty.hidden = false;
    this.#empty.dataset.state = state;
    this.#empty.classList.toggle("late", state === "loading");
    const key = canSay(`task.not-open.${state}`) ? state : "other";
    setText(find("h2", this.#empty), say(`task.not-open.${key}`));
    const why = canSay(`task.why.${key}`) ? say(`task.why.${key}`, { reason: state }) : "";
    setText(find("p", this.#empty), why);
    find(".ways-on", this.#empty).hidden = state === "loading";
    find(".try-again", this.#empty).hidden = FINAL.has(state);
    const missesRights = state === "forbidden" || state === "revoked";
    find(".task-help", this.#empty).hidden = !missesRights || pageSettings.helpUrl === undefined;
  }
}
