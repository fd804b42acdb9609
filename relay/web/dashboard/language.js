// @ts-check
// The language of the page, and its texts in it.
//
//   say("timeline.new", { count: 3 })   "3 new events", "3 neue Ereignisse"
//
// `?lang=de` in the address chooses the language, otherwise the browser's settings do. All texts of the page lie in
// `languages/`, one file per language. A text that a language lacks is shown in English.

import { de } from "./languages/de.js";
import { en } from "./languages/en.js";

/**
 * A text with `{name}` where a value goes. One that depends on a count has a form for each plural that the language
 * distinguishes, by the names of `Intl.PluralRules`.
 * @typedef {string | ({other: string} & {[form in Intl.LDMLPluralRule]?: string})} Text
 */
/** @typedef {Record<string, Text>} Texts */
/** @typedef {Record<string, string | number>} Values */

/** @type {ReadonlyMap<string, Texts>} */
const LANGUAGES = new Map([["en", en], ["de", de]]);
// The attributes of index.html that name a text, and what the text becomes.
const STATIC = new Map([
  ["data-say-label", "aria-label"],
  ["data-say-placeholder", "placeholder"],
  ["data-say-title", "title"],
]);

/** The language of the texts, as "de". */
export const language = chosenLanguage();
/** How numbers and times are written: the reader's own variant of the language, as "de-AT". */
export const locale = preferred().find((tag) => languageOf(tag) === language) ?? language;

const texts = LANGUAGES.get(language) ?? en;
const plurals = new Intl.PluralRules(language);
const numbers = new Intl.NumberFormat(locale);

/**
 * A text of the page.
 * @param {string} key
 * @param {Values} [values] what goes into its places; `count` also chooses the plural
 */
export function say(key, values = {}) {
  const text = own(texts, key) ?? own(en, key);
  if (text === undefined) throw new Error(`the page has no text ${key}`);
  const form = typeof text === "string" ? text : (text[plurals.select(Number(values.count))] ?? text.other);
  return form.replace(/\{(\w+)\}/g, (/** @type {string} */ _, /** @type {string} */ name) => {
    const value = values[name];
    return typeof value === "number" ? numbers.format(value) : String(value);
  });
}

/**
 * Whether the page has this text. Texts for what the relay sends, as the reasons of refusals, may be missing.
 * @param {string} key
 */
export function canSay(key) {
  return Object.hasOwn(en, key);
}

/**
 * Fills in the texts that the page's HTML names by `data-say` (its text), `data-say-label` and the like.
 * @param {ParentNode} [root]
 */
export function sayStaticTexts(root = document) {
  if (root === document) document.documentElement.lang = language;
  for (const template of root.querySelectorAll("template")) sayStaticTexts(template.content);
  for (const element of root.querySelectorAll("[data-say]")) {
    element.textContent = say(element.getAttribute("data-say") ?? "");
  }
  for (const [from, to] of STATIC) {
    for (const element of root.querySelectorAll(`[${from}]`)) {
      element.setAttribute(to, say(element.getAttribute(from) ?? ""));
    }
  }
}

function chosenLanguage() {
  const wished = new URLSearchParams(globalThis.location?.search).get("lang");
  const tags = wished ? [wished, ...preferred()] : preferred();
  return tags.map(languageOf).find((tag) => LANGUAGES.has(tag)) ?? "en";
}

/**
 * The languages that the reader has set in the browser, the most wanted first.
 *
 * Chromium names the locale of a bare Linux "en-US@posix" or "C". `Intl` throws an error for what is no language tag, and
 * then the page would not begin.
 * @returns {string[]}
 */
function preferred() {
  return (globalThis.navigator?.languages ?? []).flatMap((name) => tagIn(name) ?? []);
}

/**
 * The language tag in the name of a locale: "de-DE" for "de_DE@euro".
 * @param {string} name
 * @returns {string | undefined} undefined where there is none
 */
function tagIn(name) {
  try {
    return Intl.getCanonicalLocales(name.replace(/[@.].*/, "").replaceAll("_", "-"))[0];
  } catch {
    return undefined;
  }
}

/** @param {string} tag as "de-AT" */
function languageOf(tag) {
  return tag.split("-")[0].toLowerCase();
}

/**
 * @param {Texts} from
 * @param {string} key
 */
function own(from, key) {
  return Object.hasOwn(from, key) ? from[key] : undefined;
}
