// @ts-check
// The row of one task in the list. Its element is made when the row is first shown, and updated afterwards.

import { parseTime, visible } from "../view/index.js";
import { isInSight } from "./chunks.js";
import { setAttribute, setDocumentText, setText, stamp } from "./dom.js";
import { showBadge, showReferences } from "./facts.js";
import { say } from "./language.js";
import { moves, pulse } from "./motion.js";
import { bornAt } from "./stays.js";
import { exactTime, shortDuration } from "./time.js";

/** @import { TaskSummary } from "../client/index.js" */
/** @import { Section } from "../view/index.js" */
/** @import { SectionView } from "./section.js" */
/** @import { Stay } from "./stays.js" */

const MARK_MS = 6_000;
const NAMED_MAX = 3; // of more people, the others are only counted

export class Row {
  /** @type {HTMLElement | null} Null until the row is first shown. */
  element = null;
  /** @type {SectionView | null} The section that the element is in, or was in when it was last shown. */
  place = null;
  /** Whether the row came into its section with the last change. */
  hasCome = false;
  /** Whether the task matches the search. */
  matches = true;
  /** Whether the task is new since the list was shown: then its row slides in. */
  isNews = false;
  /** Whether the task waits for this user; of a failed task, whether it is for this user to look after. */
  isMine = false;
  /** @type {Section} The section that the task belongs to. */
  section = "in-progress";
  /** @type {Stay} Since when the task is in its stage and section. */
  stay = { stage: "", stageAt: 0, isStageKnown: false, section: "", sectionAt: 0, isSectionKnown: false };
  /** When the task last changed and when it was created, in ms since the epoch; 0 if nothing says it. */
  changedAt = 0;
  bornAt = 0;
  /** The last round of the list that contained the task. */
  round = 0;

  /** @type {TaskSummary | null} The summary that the element shows. */
  #shown = null;
  /** @type {HTMLElement[]} */
  #parts = [];
  #isUnread = false;
  #markedUntil = 0;

  /** @param {TaskSummary} task */
  constructor(task) {
    this.taskId = task.taskId;
    this.task = task;
  }

  get isUnread() {
    return this.#isUnread;
  }

  set isUnread(yes) {
    if (yes === this.#isUnread) return;
    this.#isUnread = yes;
    this.#showUnread();
  }

  /**
   * Sets where the row belongs.
   * @param {TaskSummary} task as it is now
   * @param {Section} section
   * @param {Stay} stay
   * @param {boolean} isMine
   * @returns {boolean} whether the row may have to move, in any order but that of the last change
   */
  locate(task, section, stay, isMine) {
    const born = bornAt(task) ?? 0;
    const isMoved = section !== this.section || stay.sectionAt !== this.stay.sectionAt
      || stay.stageAt !== this.stay.stageAt || isMine !== this.isMine || born !== this.bornAt;
    const [, , , , waits, creator] = this.#parts;
    this.section = section;
    this.stay = stay;
    if (isMine !== this.isMine) {
      this.isMine = isMine;
      if (waits) this.#showPeople(waits, creator);
    }
    this.bornAt = born;
    // Some writers change a task and no time in it.
    const isSilent = this.changedAt > 0 && task !== this.task && task.updatedAt === this.task.updatedAt;
    this.changedAt = isSilent ? Date.now() : (parseTime(task.updatedAt) ?? parseTime(task.createdAt) ?? born);
    return isMoved;
  }

  /** Returns the element, and makes it if there is none yet. */
  build() {
    if (this.element) return this.element;
    const element = (this.element = stamp("row-template"));
    element.dataset.taskId = this.taskId;
    this.#parts = /** @type {HTMLElement[]} */ ([...element.children]);
    this.#parts[1].setAttribute("href", addressOf(this.taskId));
    this.patch();
    this.#showUnread();
    return element;
  }

  /** Updates the element, if there is one. */
  patch() {
    const { task } = this;
    const before = this.#shown;
    if (!this.element || before === task) return;
    this.#shown = task;
    const [, title, , badge, waits, creator, refs] = this.#parts;
    if (!before || task.title !== before.title) {
      const shown = visible(task.title);
      setDocumentText(title, shown ?? say("row.untitled"));
      title.classList.toggle("untitled", shown === undefined);
      setAttribute(title, "title", shown);
    }
    const changed = showBadge(badge, task);
    this.#showPeople(waits, creator);
    showReferences(refs, task, before);
    // Tab stops only at the title of a row: the open task has these links as well.
    for (const ref of refs.children) if (ref instanceof HTMLAnchorElement) ref.tabIndex = -1;
    this.tick();
    if (before && changed && isInSight(this.element.parentElement)) this.#show(badge);
  }

  /** Updates the time in this stage, and removes the highlight after its time. */
  tick(now = Date.now()) {
    if (!this.element) return;
    const age = this.#parts[2];
    const { stageAt } = this.stay;
    setText(age, shortDuration(now - stageAt));
    const exact = new Date(stageAt).toISOString();
    if (age.getAttribute("datetime") !== exact) {
      age.setAttribute("datetime", exact);
      age.title = say("row.since", { time: exactTime(stageAt) });
    }
    if (this.#markedUntil && now > this.#markedUntil) {
      this.#markedUntil = 0;
      this.element.classList.remove("marked");
    }
  }

  /** Highlights the row for some seconds, because it changed. */
  mark() {
    this.#markedUntil = Date.now() + MARK_MS;
    this.element?.classList.add("marked");
  }

  /** Empties the row but keeps its height, so that no other row moves up under the pointer. */
  vacate() {
    if (!this.element) return;
    for (const name of ["data-task-id", "data-unread", "aria-current"]) this.element.removeAttribute(name);
    this.element.replaceChildren();
    this.element.classList.add("vacant");
  }

  /**
   * Says whom the task waits for, if not for this user, and who created it, if that is somebody else.
   * @param {HTMLElement} waits
   * @param {HTMLElement} creator
   */
  #showPeople(waits, creator) {
    const people = this.isMine ? [] : [...new Set(Object.values(this.task.waitsFor ?? {}).flat())];
    const named = people.slice(0, NAMED_MAX).join(", ") + (people.length > NAMED_MAX ? ", …" : "");
    waits.hidden = people.length === 0;
    const words = this.section === "failed" ? say("row.concerns", { people: named }) : say("row.waits-for", { people: named });
    setText(waits, people.length === 0 ? "" : words);
    setAttribute(waits, "title", people.length === 0 ? undefined : people.join(", "));
    const by = visible(this.task.creator);
    creator.hidden = by === undefined || (people.length === 1 && people[0] === by);
    setDocumentText(creator, by === undefined ? "" : say("row.by", { creator: by }));
  }

  #showUnread() {
    if (!this.element || this.#parts.length === 0) return;
    setAttribute(this.element, "data-unread", this.#isUnread ? "" : undefined);
    this.#parts[0].hidden = !this.#isUnread;
  }

  /** @param {Element} badge */
  #show(badge) {
    if (moves()) pulse(badge);
    else this.mark();
  }
}

/**
 * The address of a task in this page.
 * @param {string} taskId
 */
export function addressOf(taskId) {
  // `encodeURIComponent` throws for half of a surrogate pair.
  return `#/tasks/${encodeURIComponent(taskId.replace(/\p{Surrogate}/gu, "\ufffd"))}`;
}
