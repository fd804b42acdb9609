// A stand-in for localStorage.

/** As in browsers, the keys of a storage are its properties, and what it holds are strings. */
export class FakeStorage {
  getItem(key) {
    return Object.hasOwn(this, key) ? this[key] : null;
  }

  setItem(key, value) {
    this[key] = String(value);
  }

  removeItem(key) {
    delete this[key];
  }
}
