// @ts-check
// The sign-in of this tab: its token comes from a link, from the application, or from another tab.
//
// Rules of this file:
// - A token of a link counts in its tab until the relay refuses it. It survives a reload, where the browser lets it.
// - What the application says is asked for each time and kept nowhere: who has signed out there is signed out here.
// - The page never shows one user what it has of another: a change of the user starts it again.

import { isSameUser } from "../client/index.js";
import { applicationToken } from "./application-token.js";
import { pagePath } from "./page-path.js";
import { TokenTabs } from "./token-tabs.js";

const FRAGMENT = "#token=";

export class Session {
  #tokenUrl;
  #onOther;
  #onNews;
  #key = `relay.token ${pagePath}`;
  #linked; // the token of a link; "" for none
  #refused = ""; // the token of a link that the relay refused last
  #isEnding = false; // the token that the connection has
  #isUnanswered = false; // the last question to the application
  /** @type {string | null} The token that was handed out last: its user is the one whom the page shows. */
  #shown = null;
  /** @type {string | null | undefined} What any tab last said of the application; undefined before that. */
  #told;
  #asked = 0; // questions to the application
  #answered = 0; // the latest of them that was answered
  #tabs;

  /**
   * @param {object} options
   * @param {string} [options.tokenUrl] where the application answers with tokens
   * @param {() => void} options.onOther called when another user is signed in now, or nobody
   * @param {() => void} options.onNews called when `token()` may now return another token
   */
  constructor({ tokenUrl, onOther, onNews }) {
    this.#tokenUrl = tokenUrl;
    this.#onOther = onOther;
    this.#onNews = onNews;
    this.#linked = read(this.#key);
    this.#tabs = new TokenTabs({
      token: () => (this.#linked === this.#refused ? "" : this.#linked),
      onLink: (token) => this.#heardOfLink(token),
      onApplication: (token) => this.#heardOfApplication(token),
    });
  }

  /** The token that the client was given last; null while nobody is signed in. */
  get current() {
    return this.#shown;
  }

  /** Whether the application renews the sign-in: it has not said that nobody is signed in. */
  get isRenewed() {
    return this.asksApplication && this.#shown !== null;
  }

  /** Whether the sign-in ends soon and none that follows it can be had now. */
  get lacksSuccessor() {
    return this.#isEnding && (this.#tokenUrl === undefined || this.#isUnanswered);
  }

  /** Whether this tab asks the application who is signed in. */
  get asksApplication() {
    return this.#tokenUrl !== undefined && this.#linked === "";
  }

  /**
   * Takes a token out of the address, if there is one, and passes it on to the user's other tabs.
   * @returns {"" | "renewed" | "signed in"} "renewed" for a token of the same user as before; "" without a token
   */
  signIn() {
    if (!location.hash.startsWith(FRAGMENT)) return "";
    const fresh = location.hash.slice(FRAGMENT.length);
    const renewed = isSameUser(this.#shown ?? this.#linked, fresh);
    this.#keep(fresh);
    this.#tabs.tell({ link: fresh });
    history.replaceState(null, "", location.pathname + location.search);
    return renewed ? "renewed" : "signed in";
  }

  /**
   * A token for the relay, as the client's token function.
   * @returns {Promise<string | null>} null if nobody is signed in. Rejects if the application gives no answer.
   */
  async token() {
    await null; // the client calls this before it passes on the message by which `expiring` is called
    const isUsable = this.#linked !== "" && this.#linked !== this.#refused;
    if (isUsable && !(this.#isEnding && this.#tokenUrl)) return (this.#shown = this.#linked);
    if (this.#tokenUrl === undefined) return this.#tokenOfTabs();
    return isUsable ? this.#successor(this.#tokenUrl) : this.#tokenOfApplication(this.#tokenUrl);
  }

  /** The page shows no user any more, so the next user that the application names is not a change of user. */
  forgetUser() {
    this.#shown = null;
  }

  /** The relay has warned that the token ends. */
  expiring() {
    this.#isEnding = true;
  }

  /** The relay has accepted a token. */
  accepted() {
    this.#isEnding = false;
  }

  /**
   * The relay has refused the token: the next one comes from elsewhere.
   * @returns {boolean} whether there may be another one at once
   */
  refused() {
    if (this.#linked === "" || this.#linked === this.#refused) return false;
    this.#refused = this.#linked;
    if (this.#tokenUrl) this.#forgetLink();
    return true;
  }

  /** @param {string} url */
  async #tokenOfApplication(url) {
    const number = ++this.#asked;
    const token = await this.#answer(url);
    if (number < this.#answered) return this.#shown; // a later question was answered first: this may be the user before
    this.#answered = number;
    this.#tell(token);
    const isOther = this.#shown !== null && isAnother(this.#shown, token);
    this.#shown = token;
    if (!isOther) return token;
    this.#onOther(); // it connects again, and asks for that then
    return null;
  }

  /**
   * The token of the application in place of one of a link that ends, if it is for the same user.
   * @param {string} url
   */
  async #successor(url) {
    const token = await this.#answer(url).catch(() => null);
    if (!isSameUser(this.#linked, token)) return this.#linked;
    this.#forgetLink();
    return (this.#shown = token);
  }

  /** @param {string} url */
  async #answer(url) {
    try {
      const token = await applicationToken(url);
      this.#isUnanswered = false;
      return token;
    } catch (failure) {
      this.#isUnanswered = true;
      throw failure;
    }
  }

  async #tokenOfTabs() {
    const before = this.#shown ?? this.#linked;
    const tokens = await this.#tabs.ask();
    const found = tokens.find((token) => token !== this.#refused && (before === "" || isSameUser(before, token)));
    if (found !== undefined) this.#keep(found);
    // Without another one, the relay may accept the one of before later, as when its secret is replaced.
    return (this.#shown = this.#linked || null);
  }


  /** @param {string} token */
  #heardOfLink(token) {
    const before = this.#shown ?? this.#linked;
    if (isSameUser(before, token) && !this.asksApplication) this.#keep(token);
    else if (before !== "" || this.#tokenUrl) return;
    this.#onNews();
  }

  /** @param {string | null} token */
  #heardOfApplication(token) {
    this.#told = token;
    if (this.asksApplication && isAnother(this.#shown, token)) this.#onNews();
  }

  /**
   * Tells the other tabs what the application said, unless a tab has said so last.
   * @param {string | null} token
   */
  #tell(token) {
    const isTold = this.#told !== undefined && !isAnother(this.#told, token);
    this.#told = token;
    if (!isTold) this.#tabs.tell({ application: token && unsigned(token) });
  }

  /** @param {string} token */
  #keep(token) {
    this.#linked = token;
    this.#isEnding = false;
    this.#refused = "";
    write(this.#key, token);
  }

  #forgetLink() {
    this.#linked = "";
    write(this.#key, "");
  }
}

/**
 * Whether two answers of the application certainly name different users, or one of them nobody. Of two tokens whose
 * users cannot be read here this is not certain. The relay then tells in its `welcome` who it is; taken for different
 * users, each renewal would reset the page, and two tabs would reset each other without end.
 * @param {string | null} one
 * @param {string | null} other
 */
function isAnother(one, other) {
  if (one === null || other === null) return one !== other;
  return !isSameUser(one, other) && (isReadable(one) || isReadable(other));
}

/** @param {string} token */
function isReadable(token) {
  return isSameUser(token, `${token}.`); // the same user, in another string
}

/**
 * A token without its signature: it names its user, and is worth nothing.
 * @param {string} token
 */
function unsigned(token) {
  return token.slice(0, token.lastIndexOf(".") + 1);
}

/** @param {string} key */
function read(key) {
  try {
    return sessionStorage.getItem(key) ?? "";
  } catch {
    return ""; // refused, as in some frames
  }
}

/**
 * @param {string} key
 * @param {string} value
 */
function write(key, value) {
  try {
    if (value === "") sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, value);
  } catch {
    // Refused: the token is in memory, and a reload asks for another.
  }
}
