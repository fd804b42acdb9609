export class Panel {
    /**
     * @param {object} options
     * @param {() => DebugReport | undefined} options.debug
     * @param {Texts} options.texts
     * @param {string} options.lang of the times
     * @param {(status: Status) => string} options.explain why the connection is as it is, as a sentence; "" for nothing
     * @param {HTMLElement[]} options.buttons after that for the report
     */
    constructor({ debug, texts, lang, explain, buttons }: {
        debug: () => DebugReport | undefined;
        texts: Texts;
        lang: string;
        explain: (status: Status) => string;
        buttons: HTMLElement[];
    });
    /** What to show: a heading, the facts, the tables. */
    elements: HTMLElement[];
    /** Shows how it is now. */
    update(): void;
    #private;
}
import type { DebugReport } from "../client/index.js";
export type { DebugReport };
import type { Status } from "../client/index.js";
export type { Status };
import type { Texts } from "./texts.js";
export type { Texts };
