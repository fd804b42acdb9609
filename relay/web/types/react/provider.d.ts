/**
 * Connects nothing while it renders, so it may render on a server.
 * @param {RelayProviderProps} props
 * @returns {import("react").ReactElement}
 */
export function RelayProvider({ url, token, children }: RelayProviderProps): import("react").ReactElement;
/** @returns {Store} */
export function useStore(): Store;
export type RelayProviderProps = {
    /**
     * as for `connect`; another one connects anew
     */
    url: string | URL;
    /**
     *   as for `connect`; may be another function at each render, the last one is asked. For another
     *   user give the provider another `key`: then nothing of the first one's stays.
     */
    token: () => string | Promise<string>;
    children?: import("react").ReactNode;
};
import { Store } from "./store.js";
