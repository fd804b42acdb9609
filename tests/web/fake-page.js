// A fake page for the dashboard's modules in Node: elements record what they are given, without a layout.
// Call `openPage()` first, then import a module of the dashboard with `dashboard(name)`.

import { register } from "node:module";
import { pathToFileURL } from "node:url";

const WEB = new URL("../../relay/web/", import.meta.url);

/** @param {string} name of a module in relay/web/dashboard */
export function dashboard(name) {
  return import(new URL(`dashboard/${name}`, WEB).href);
}

/** Sets the globals of a page, and resolves imports of `/client/…` and `/view/…` to the files that the relay serves. */
export function openPage() {
  const resolve = `export function resolve(specifier, context, next) {
    return next(["/client/", "/view/"].some((root) => specifier.startsWith(root)) ? ${JSON.stringify(WEB.href)} + specifier.slice(1) : specifier, context);
  }`;
  register(`data:text/javascript,${encodeURIComponent(resolve)}`, pathToFileURL("./"));
  if (!("navigator" in globalThis)) Object.assign(globalThis, { navigator: {} }); // Node 20
  const page = new FakeElement("body");
  const stays = { observe() {} };
  Object.assign(globalThis, {
    document: Object.assign(page, {
      body: page,
      documentElement: page,
      hidden: false,
      createElement: (/** @type {string} */ name) => new FakeElement(name),
    }),
    HTMLElement: FakeElement,
    HTMLAnchorElement: class {},
    ResizeObserver: function ResizeObserver() {
      return stays;
    },
    BroadcastChannel: class {
      addEventListener() {}
    },
    addEventListener: () => {},
    location: new URL("https://relay.test/live/"),
    matchMedia: () => ({ matches: true }), // no motion
    addEventListener: () => {},
    requestAnimationFrame: () => 1,
    cancelAnimationFrame: () => {},
    localStorage: new Map(),
  });
  Object.assign(globalThis.localStorage, { getItem: () => null, removeItem: () => {}, setItem: () => {} });
  return page;
}

export class FakeElement {
  dataset = {};
  style = { setProperty() {} };
  hidden = false;
  checked = false;
  scrollTop = 0;
  /** @type {Map<string, string>} */
  attributes = new Map();
  /** @type {(FakeElement | string)[]} */
  nodes = [];
  /** @type {FakeElement | null} */
  parentElement = null;
  /** @type {Set<string>} */
  #classes = new Set();
  /** @type {Map<string, FakeElement>} */
  #found = new Map();

  /** @param {string} name */
  constructor(name) {
    this.name = name;
  }

  classList = {
    add: (/** @type {string} */ name) => void this.#classes.add(name),
    remove: (/** @type {string} */ name) => void this.#classes.delete(name),
    toggle: (/** @type {string} */ name, on = !this.#classes.has(name)) => (on ? this.#classes.add(name) : this.#classes.delete(name)),
    contains: (/** @type {string} */ name) => this.#classes.has(name),
  };

  get children() {
    return this.nodes.filter((node) => node instanceof FakeElement);
  }

  get childElementCount() {
    return this.children.length;
  }

  get lastElementChild() {
    return this.children.at(-1) ?? null;
  }

  get previousElementSibling() {
    return null;
  }

  get content() {
    return { firstElementChild: this };
  }

  get textContent() {
    return this.nodes.map((node) => (node instanceof FakeElement ? node.textContent : node)).join("");
  }

  set textContent(text) {
    this.nodes = [String(text)];
  }

  /** Copies a template. The copy has as many parts as the largest template. */
  cloneNode() {
    const copy = new FakeElement(this.name);
    copy.append(...Array.from({ length: 8 }, () => new FakeElement("span")));
    return copy;
  }

  /** @param {string} selector what is asked for is there */
  querySelector(selector) {
    const found = this.#found.get(selector) ?? new FakeElement(selector);
    this.#found.set(selector, found);
    return found;
  }

  querySelectorAll() {
    return [];
  }

  /** @param {(FakeElement | string)[]} nodes */
  append(...nodes) {
    for (const node of nodes) if (node instanceof FakeElement) node.parentElement = this;
    this.nodes.push(...nodes);
  }

  /** @param {FakeElement} node */
  insertBefore(node) {
    this.append(node);
  }

  /** @param {(FakeElement | string)[]} nodes */
  replaceChildren(...nodes) {
    this.nodes = [];
    this.append(...nodes);
  }

  /**
   * @param {string} name
   * @param {string} value
   */
  setAttribute(name, value) {
    this.attributes.set(name, String(value));
  }

  /** @param {string} name */
  getAttribute(name) {
    return this.attributes.get(name) ?? null;
  }

  /** @param {string} name */
  removeAttribute(name) {
    this.attributes.delete(name);
  }

  /** Forgets everything it was given. */
  forget() {
    this.#found.clear();
    this.#classes.clear();
  }

  after() {}
  before() {}
  remove() {}
  replaceWith() {}
  addEventListener() {}
  focus() {}

  /** Everything that was given to it and to its descendants. */
  get given() {
    return {
      data: { ...this.dataset },
      attributes: [...this.attributes],
      nodes: this.nodes.map((node) => (node instanceof FakeElement ? node.given : node)),
      found: [...this.#found].map(([selector, element]) => [selector, element.given]),
    };
  }
}
