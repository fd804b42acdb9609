/**
 * @param {any} data of an event
 * @returns {Content}
 */
export function contentOf(data: any): Content;
/**
 * A line of text, or a glance at the fields where there is none; and whether there is more.
 */
export type Content = {
    text: string;
    glance: string;
    more: boolean;
};
