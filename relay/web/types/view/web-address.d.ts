/**
 * A web address as browsers write it. Undefined for a text that is no address of http or https, and for one with a
 * user name, because `https://bank.example@evil.example` leads to the second name.
 * @param {string | undefined} text untrusted
 * @returns {string | undefined}
 */
export function webAddress(text: string | undefined): string | undefined;
