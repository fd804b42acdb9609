/**
 * @param {string} tag
 * @param {Record<string, string>} [attributes]
 * @param {(Node | string)[]} [children]
 * @returns {HTMLElement}
 */
export function make(tag: string, attributes?: Record<string, string>, children?: (Node | string)[]): HTMLElement;
/**
 * @param {Node} node
 * @param {string} text
 */
export function setText(node: Node, text: string): void;
export class Table {
    /**
     * @param {string} title
     * @param {string[]} columns
     */
    constructor(title: string, columns: string[]);
    /** The heading, and the table in a place that scrolls. */
    elements: HTMLElement[];
    /** @param {(string | number | undefined)[][]} rows */
    show(rows: (string | number | undefined)[][]): void;
    #private;
}
