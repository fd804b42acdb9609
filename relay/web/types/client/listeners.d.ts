/** @typedef {() => void} Unsubscribe */
/** @template T */
export class Listeners<T> {
    /**
     * @param {(value: T) => void} listener
     * @returns {Unsubscribe}
     */
    add(listener: (value: T) => void): Unsubscribe;
    /** @param {T} value */
    tell(value: T): void;
    #private;
}
export type Unsubscribe = () => void;
