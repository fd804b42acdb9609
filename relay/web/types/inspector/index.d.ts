/**
 * @typedef {object} InspectorOptions
 * @property {Element} [into] the element that gets the panel at its end; without one, the panel is a modal dialog
 * @property {string} [lang] the language of the panel, as in HTML: `en` or `de`. That of the page without it
 * @property {(status: Status) => string} [explain] why the connection is as it is, as a sentence for people
 * @property {() => void} [onClose] called when the panel was closed, by its user or by the function that is returned
 */
/**
 * Shows a panel with what `relay.debug()` reports.
 * @param {{debug: () => DebugReport | undefined}} relay what `connect` returned, or another object with its `debug`,
 *   which returns undefined while there is no connection
 * @param {InspectorOptions} [options]
 * @returns {() => void} closes and removes the panel
 */
export function mountInspector(relay: {
    debug: () => DebugReport | undefined;
}, { into, lang, explain, onClose }?: InspectorOptions): () => void;
export type InspectorOptions = {
    /**
     * the element that gets the panel at its end; without one, the panel is a modal dialog
     */
    into?: Element | undefined;
    /**
     * the language of the panel, as in HTML: `en` or `de`. That of the page without it
     */
    lang?: string | undefined;
    /**
     * why the connection is as it is, as a sentence for people
     */
    explain?: ((status: Status) => string) | undefined;
    /**
     * called when the panel was closed, by its user or by the function that is returned
     */
    onClose?: (() => void) | undefined;
};
import type { DebugReport } from "../client/index.js";
export type { DebugReport };
import type { Status } from "../client/index.js";
export type { Status };
