/** @param {ShadowRoot} root */
export function addStyle(root: ShadowRoot): void;
