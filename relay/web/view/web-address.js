// @ts-check
// Decides which addresses out of documents a page may lead to. Pure.

/**
 * A web address as browsers write it. Undefined for a text that is no address of http or https, and for one with a
 * user name, because `https://bank.example@evil.example` leads to the second name.
 * @param {string | undefined} text untrusted
 * @returns {string | undefined}
 */
export function webAddress(text) {
  if (text === undefined || !URL.canParse(text)) return undefined;
  const { href, protocol, username, password } = new URL(text);
  const isWeb = protocol === "https:" || protocol === "http:";
  return isWeb && username === "" && password === "" ? href : undefined;
}
