/**
 * What to show of an event in one line.
 * @param {any} data of an event
 * @returns {Content}
 */
export function contentOf(data: any): Content;
/**
 * `text`: the text of the event. `glance`: without a text, its first fields. `more`: the data has more than these show.
 */
export type Content = {
    text: string;
    glance: string;
    more: boolean;
};
