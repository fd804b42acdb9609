/**
 * The words of a language; English where it has none here.
 * @param {string} lang as in the attribute `lang` of HTML
 */
export function textsOf(lang: string): {
    title: string;
    close: string;
    copy: string;
    copied: string;
    notCopied: string;
    report: string;
    state: string;
    next: string;
    transport: string;
    none: string;
    heard: string;
    received: string;
    delay: string;
    reconnects: string;
    issued: string;
    expires: string;
    rooms: string;
    room: string;
    list: string;
    phase: string;
    held: string;
    position: string;
    statuses: string;
    messages: string;
    time: string;
    reason: string;
    code: string;
    type: string;
    size: string;
    notConnected: string;
};
export namespace en {
    let title: string;
    let close: string;
    let copy: string;
    let copied: string;
    let notCopied: string;
    let report: string;
    let state: string;
    let next: string;
    let transport: string;
    let none: string;
    let heard: string;
    let received: string;
    let delay: string;
    let reconnects: string;
    let issued: string;
    let expires: string;
    let rooms: string;
    let room: string;
    let list: string;
    let phase: string;
    let held: string;
    let position: string;
    let statuses: string;
    let messages: string;
    let time: string;
    let reason: string;
    let code: string;
    let type: string;
    let size: string;
    let notConnected: string;
}
/** @type {Texts} */
export const de: Texts;
export type Texts = typeof en;
