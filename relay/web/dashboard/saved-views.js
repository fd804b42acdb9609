// @ts-check
// The views that the reader has saved in this browser: a search and a section under a name, in a menu of the header.

import { SECTIONS } from "../view/index.js";
import { find, setAttribute, setText, stamp } from "./dom.js";
import { locale, say } from "./language.js";
import { memory } from "./memory.js";
import { TEXT_CHARACTERS_MAX, withView } from "./view-address.js";

/** @import { View } from "./view-address.js" */
/** @typedef {View & {name: string}} SavedView */
/**
 * `open` shows a view. `count` says how many tasks it has now; undefined before there is a list.
 * @typedef {{open: (view: View) => void, count: (view: View) => number | undefined}} Actions
 */

const NAME = "views"; // in the memory of the browser
const VIEWS_MAX = 30;
const NAME_CHARACTERS_MAX = 60;
const NARROW_PX = 8; // between the menu and the edge of the window

export class SavedViews {
  /** @type {SavedView[]} */
  #views = [];
  /** @type {View} */
  #current = { text: "", section: null };
  /** @type {string | null} The name of the view that is being renamed. */
  #renamed = null;
  /** @type {{view: SavedView, at: number} | null} What was deleted last, and where it was, until the menu is closed. */
  #deleted = null;
  #button = find("#views-button");
  #menu = find("#views");
  #rows = find(".views-list");
  #form = find(".views-save");
  #actions;

  /** @param {Actions} actions */
  constructor(actions) {
    this.#actions = actions;
    memory.onChange(NAME, () => this.#read());
    this.#menu.addEventListener("beforetoggle", (/** @type {ToggleEvent} */ { newState }) => {
      this.#renamed = this.#deleted = null;
      if (newState === "open") this.#build();
    });
    this.#menu.addEventListener("toggle", (/** @type {ToggleEvent} */ { newState }) => {
      if (newState === "open") this.#opened();
    });
    this.#menu.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => this.#step(event));
    this.#form.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      this.#save(find("input", this.#form).value);
    });
  }

  /** @param {View} current what is shown now */
  render(current) {
    const isSame = current.text === this.#current.text && current.section === this.#current.section;
    this.#current = current;
    setText(find("span", this.#button), this.#named()?.name ?? say("views"));
    if (!isSame && this.#isOpen) this.#build();
  }

  /** Updates the counts, while they can be seen. */
  tick() {
    if (!this.#isOpen) return;
    const shown = [ALL, ...this.#views];
    [...this.#rows.querySelectorAll(".views-open .count")].forEach((element, index) => {
      const count = this.#actions.count(shown[index]);
      setText(element, count === undefined ? "" : count.toLocaleString(locale));
    });
  }

  get #isOpen() {
    return this.#menu.matches(":popover-open");
  }

  /** The saved view that is shown now, if there is one. */
  #named() {
    return this.#views.find(({ text, section }) => text === this.#current.text && section === this.#current.section);
  }

  #opened() {
    this.tick();
    // Below its button, and inside of the window.
    const room = innerWidth - this.#menu.offsetWidth - NARROW_PX;
    this.#menu.style.left = `${Math.max(NARROW_PX, Math.min(this.#button.getBoundingClientRect().left, room))}px`;
    (this.#rows.querySelector("[aria-current]") ?? find("a", this.#rows)).focus();
  }

  #build() {
    const named = this.#named();
    const isAll = this.#current.text === "" && this.#current.section === null;
    const rows = this.#views.map((view) => (view.name === this.#renamed ? this.#renaming(view) : this.#row(view)));
    if (this.#deleted) rows.splice(this.#deleted.at, 0, this.#wayBack(this.#deleted.view.name));
    this.#rows.replaceChildren(this.#row({ ...ALL, name: say("views.all") }, true), ...rows);
    const current = isAll ? 0 : named ? 1 + this.#views.indexOf(named) : -1;
    this.#links[current]?.setAttribute("aria-current", "true");
    const canSave = !isAll && named === undefined;
    const isFull = this.#views.length >= VIEWS_MAX;
    this.#form.hidden = !canSave || isFull;
    find("input", this.#form).value = suggestion(this.#current);
    const note = find(".views-none", this.#menu);
    note.hidden = isFull ? !canSave : rows.length > 0 || canSave;
    setText(note, isFull ? say("views.full", { count: VIEWS_MAX }) : say("views.none"));
    this.tick(); // if the menu is open: otherwise once it is
  }

  /**
   * @param {SavedView} view
   * @param {boolean} [isFixed] whether it can be neither renamed nor deleted
   */
  #row(view, isFixed = false) {
    const row = stamp("view-template");
    const link = find("a", row);
    link.href = withView(view);
    link.title = describe(view);
    setText(find(".views-name", row), view.name);
    link.addEventListener("click", (/** @type {MouseEvent} */ event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return; // in a tab of its own
      event.preventDefault();
      this.#menu.hidePopover();
      this.#actions.open({ text: view.text, section: view.section });
    });
    const [rename, remove] = row.querySelectorAll("button");
    for (const button of [rename, remove]) button.hidden = isFixed;
    rename.addEventListener("click", () => this.#rename(view.name));
    remove.addEventListener("click", () => this.#remove(view.name));
    setAttribute(rename, "aria-label", say("views.rename", { name: view.name }));
    setAttribute(remove, "aria-label", say("views.delete", { name: view.name }));
    return row;
  }

  /** @param {SavedView} view */
  #renaming(view) {
    const form = stamp("rename-template");
    const field = find("input", form);
    field.value = view.name;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#finishRenaming(view, field.value);
    });
    field.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "Escape" || event.isComposing) return;
      event.preventDefault(); // keeps the menu open
      this.#finishRenaming(view, view.name);
    });
    return form;
  }

  /** @param {string} name */
  #rename(name) {
    this.#renamed = name;
    this.#build();
    find("form input", this.#rows).select();
  }

  /**
   * @param {SavedView} view
   * @param {string} wanted
   */
  #finishRenaming(view, wanted) {
    this.#renamed = null;
    const name = this.#free(tidy(wanted) || view.name, view);
    this.#keep(this.#views.map((each) => (each === view ? { ...view, name } : each)));
    this.#focus(this.#views.findIndex((each) => each.name === name));
  }

  /** @param {string} name */
  #remove(name) {
    const at = this.#views.findIndex((view) => view.name === name);
    this.#deleted = { view: this.#views[at], at };
    this.#keep(this.#views.filter((view) => view.name !== name));
    find(".views-undo", this.#rows).focus();
  }

  #restore() {
    if (!this.#deleted) return;
    const { view, at } = this.#deleted;
    this.#deleted = null;
    const name = this.#free(view.name); // another tab may have given it to another one
    this.#keep([...this.#views.slice(0, at), { ...view, name }, ...this.#views.slice(at)]);
    this.#focus(this.#views.findIndex((each) => each.name === name));
  }

  /**
   * What takes the place of a deleted view.
   * @param {string} name
   */
  #wayBack(name) {
    const row = stamp("deleted-template");
    setText(find(".views-deleted", row), say("views.deleted", { name }));
    const undo = find(".views-undo", row);
    setAttribute(undo, "aria-label", say("views.undo-delete", { name }));
    undo.addEventListener("click", () => this.#restore());
    return row;
  }

  /** @param {string} wanted */
  #save(wanted) {
    this.#deleted = null; // there may be no room for it any more
    const name = this.#free(tidy(wanted) || suggestion(this.#current));
    this.#keep([...this.#views, { ...this.#current, name }]);
    this.#focus(this.#views.length - 1);
  }

  /**
   * A name that no other view has.
   * @param {string} name
   * @param {SavedView} [own] the view that may have it
   */
  #free(name, own) {
    const taken = new Set(this.#views.filter((view) => view !== own).map((view) => view.name));
    let free = name;
    for (let number = 2; taken.has(free); number += 1) free = `${name} ${number}`;
    return free;
  }

  /** @param {SavedView[]} views */
  #keep(views) {
    this.#views = views;
    memory.set(NAME, views);
    this.render(this.#current);
    this.#build();
  }

  #read() {
    const stored = memory.get(NAME);
    this.#views = (Array.isArray(stored) ? stored : []).flatMap((view) => known(view) ?? []).slice(0, VIEWS_MAX);
    this.render(this.#current);
    if (this.#isOpen) this.#build();
  }

  /** @param {number} index of a saved view, -1 for all tasks */
  #focus(index) {
    this.#links[index + 1].focus();
  }

  /** The links to all views, that to all tasks first. */
  get #links() {
    return /** @type {HTMLElement[]} */ ([...this.#rows.querySelectorAll("a")]);
  }

  /** @param {KeyboardEvent} event the arrow keys move through the views */
  #step(event) {
    const by = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (by === 0) return;
    event.preventDefault();
    const stops = /** @type {HTMLElement[]} */ ([...this.#rows.querySelectorAll("a, .views-undo")]);
    const at = stops.findIndex((stop) => stop.parentElement?.contains(document.activeElement));
    stops[(at + by + stops.length) % stops.length]?.focus();
  }
}

const ALL = /** @type {View} */ ({ text: "", section: null });

/**
 * A stored view, if it is one.
 * @param {any} stored untrusted
 * @returns {SavedView | null}
 */
function known(stored) {
  if (typeof stored?.name !== "string" || typeof stored.text !== "string") return null;
  const section = SECTIONS.find((each) => each === stored.section) ?? null;
  const name = tidy(stored.name);
  return name === "" ? null : { name, text: stored.text.slice(0, TEXT_CHARACTERS_MAX), section };
}

/** @param {string} name */
function tidy(name) {
  return name.replace(/\s+/g, " ").trim().slice(0, NAME_CHARACTERS_MAX);
}

/** @param {View} view */
function describe({ text, section }) {
  return [section && say(`search.section.${section}`), text].filter(Boolean).join(" · ");
}

/**
 * The name that is offered for a view.
 * @param {View} view
 */
function suggestion(view) {
  return tidy(describe(view));
}
