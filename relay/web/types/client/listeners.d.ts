/** @typedef {() => void} Unsubscribe */
/** @template T */
export class Listeners<T> {
    /**
     * @param {(value: T) => void} listener
     * @returns {Unsubscribe}
     */
    add(listener: (value: T) => void): Unsubscribe;
    /**
     * Calls every listener.
     * @param {T} value
     */
    emit(value: T): void;
    #private;
}
export type Unsubscribe = () => void;
