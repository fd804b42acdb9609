// @ts-check
// The search of the list: words in the field, and one section or all. Both are part of the page's address.

import { searching, sectionOf, SECTIONS } from "../view/index.js";
import { find, setAttribute, setText, stamp } from "./dom.js";
import { say } from "./language.js";
import { TEXT_CHARACTERS_MAX, ViewAddress } from "./view-address.js";

/** @import { Me, Predicate, SearchOptions, Section } from "../view/index.js" */
/** @import { View } from "./view-address.js" */
/** @import { TaskSummary } from "../client/index.js" */
/**
 * `passes`: whether a task matches the text. `asksIs`: whether that depends on more than the task, as `is:unread` does.
 * @typedef {{text: string, passes: Predicate, asksIs: boolean, section: Section | null}} Filter
 */

const PREPARED_AT_ONCE = 500; // tasks: some ms
const IS = /\bis:/i;

export class SearchView {
  /** @type {Filter} A new object whenever it changes. */
  current = { text: "", passes: () => true, asksIs: false, section: null };
  #top = find(".top");
  #field = find("#search");
  #opener = find("#search-button");
  #buttons = SECTIONS.map(sectionButton);
  #address = new ViewAddress((view) => this.#show(view));
  #read;
  #me;
  #chosen;
  #changed = () => {}; // until the page begins to render

  /**
   * @param {() => void} changed
   * @param {SearchOptions & {me: () => Me, tasks: () => readonly TaskSummary[], chosen: () => void}} options `me`: the
   *   claims of the reader; `chosen`: called when the reader has searched or chosen a view, and so wants to see the list
   */
  constructor(changed, { me, tasks, chosen, ...options }) {
    this.#me = me;
    this.#chosen = chosen;
    this.#read = searching(options);
    this.#field.addEventListener("input", () => this.#set({ text: this.#field.value }, { isTyping: true }));
    this.#field.addEventListener("focus", () => this.#prepare(tasks()));
    this.#field.addEventListener("change", () => this.#address.settle()); // it lost the focus, or Enter was pressed
    this.#field.maxLength = TEXT_CHARACTERS_MAX;
    this.#opener.addEventListener("click", () => this.focus());
    find("#search-close").addEventListener("click", () => this.#cancel());
    const help = find(".search-help");
    help.addEventListener("pointerdown", (/** @type {Event} */ event) => event.preventDefault()); // keeps the focus
    help.addEventListener("click", (/** @type {Event} */ { target }) => this.#insert(target));
    find(".search").addEventListener("focusout", (/** @type {FocusEvent} */ event) => this.#left(event));
    find(".filters").append(...this.#buttons);
    SECTIONS.forEach((key, index) => {
      const toggle = () => this.#set({ section: this.current.section === key ? null : key });
      this.#buttons[index].addEventListener("click", toggle);
    });
    this.#show(this.#address.view);
    this.#changed = changed;
  }

  /** The text as the reader typed it. */
  get text() {
    return this.#field.value.trim();
  }

  /** What is shown now: the text and the section. */
  get view() {
    return { text: this.text, section: this.current.section };
  }

  get isOn() {
    return this.text !== "" || this.current.section !== null;
  }

  /** Moves the focus to the field. On a small screen it takes the place of the sections for that time. */
  focus() {
    this.#open(true);
    this.#field.focus();
    this.#field.select();
  }

  /**
   * The key Esc in the field: the first removes the text, the second leaves the field.
   * @returns {boolean} whether the field had the focus
   */
  leave() {
    if (document.activeElement !== this.#field) return false;
    if (this.#field.value === "") this.#cancel();
    else this.#set({ text: "" }, { isTyping: true });
    return true;
  }

  clear() {
    this.open({ text: "", section: null });
  }

  /** @param {View} view */
  open(view) {
    this.#set(view);
    this.#open(view.text !== "");
  }

  /**
   * Whether a task belongs to a view.
   * @param {View} view
   * @returns {Predicate}
   */
  predicate({ text, section }) {
    const passes = this.#read(text);
    const me = this.#me();
    return (task) => passes(task) && (section === null || sectionOf(task, me) === section);
  }

  /** @param {Map<Section, number>} counts */
  render(counts) {
    SECTIONS.forEach((key, index) => {
      const count = counts.get(key) ?? 0;
      const button = this.#buttons[index];
      setText(find(".count", button), String(count));
      button.classList.toggle("empty", count === 0);
    });
  }

  /**
   * Shows a view that the reader has chosen, and writes it to the address.
   * @param {Partial<View>} change
   * @param {{isTyping?: boolean}} [how]
   */
  #set(change, how) {
    const view = { text: this.#field.value, section: this.current.section, ...change };
    this.#address.write(view, how);
    this.#apply(view);
    this.#chosen();
  }

  /**
   * Folds the texts of all tasks before the first letter is typed, a part at a time.
   * @param {readonly TaskSummary[]} tasks
   */
  #prepare(tasks) {
    const passes = this.#read("…"); // any text: each task that is tried stays folded
    tasks.slice(0, PREPARED_AT_ONCE).forEach(passes);
    if (tasks.length > PREPARED_AT_ONCE) setTimeout(() => this.#prepare(tasks.slice(PREPARED_AT_ONCE)));
  }

  /** @param {View} view */
  #show(view) {
    const isShown = view.text.trim() === this.text && view.section === this.current.section;
    if (!isShown) this.#apply(view);
    this.#open(view.text !== "");
  }

  /** @param {View} view */
  #apply({ text, section }) {
    if (this.#field.value !== text) this.#field.value = text;
    this.current = { text: text.trim(), passes: this.#read(text), asksIs: IS.test(text), section };
    SECTIONS.forEach((key, index) => setAttribute(this.#buttons[index], "aria-pressed", String(section === key)));
    this.#changed();
  }

  /** Removes the text, and gives the place of the field back to the sections where it was theirs. */
  #cancel() {
    if (this.#field.value !== "") this.#set({ text: "" });
    this.#open(false);
    if (this.#opener.offsetParent !== null) this.#opener.focus();
    else this.#field.blur();
  }

  /** @param {FocusEvent} event */
  #left({ currentTarget, relatedTarget }) {
    const stays = relatedTarget instanceof Node && /** @type {Node} */ (currentTarget).contains(relatedTarget);
    if (!stays && this.#field.value === "") this.#open(false);
  }

  /** @param {boolean} isOpen on a small screen: whether the field is shown in place of the sections */
  #open(isOpen) {
    this.#top.classList.toggle("searching", isOpen);
    setAttribute(this.#opener, "aria-expanded", String(isOpen));
  }

  /** @param {EventTarget | null} target an example of the help: it is put into the field */
  #insert(target) {
    const example = target instanceof Element ? target.closest("button")?.dataset.example : undefined;
    if (example === undefined) return;
    this.#field.focus();
    this.#set({ text: example }, { isTyping: true });
  }
}

/** @param {Section} key */
function sectionButton(key) {
  const button = stamp("filter-template");
  button.dataset.filter = key;
  button.dataset.short = say(`search.short.${key}`);
  setText(find(".filter-name", button), say(`search.section.${key}`));
  return button;
}
