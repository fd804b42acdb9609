// A process in which the real client meets one environment after the other, for tests/integration/test_reasons.py.
// It is given cases as JSON, connects for all of them at once, and writes a line of JSON for each that has got as far as
// the case says, with all that it said on the way.

import { connect } from "../../relay/web/client/index.js";

const TOKENS = {
  throws: () => { throw new Error("no answer"); },
  null: () => null,
};

const cases = JSON.parse(process.argv[2]);
await Promise.all(cases.map(({ name, url, token, then, until, hasNoSocket }) => new Promise((done) => {
  let given = TOKENS[token] ?? (() => token);
  let isFirst = true;
  const said = [];
  const openSocket = () => new globalThis.NoSuchSocket();
  const relay = connect({ url, token: () => given(), host: { random: () => 0, ...(hasNoSocket ? { openSocket } : {}) } });
  const look = ({ state, reason }) => {
    if (state === "connecting") return;
    const words = [state, reason ?? null];
    if (JSON.stringify(said.at(-1)) !== JSON.stringify(words)) said.push(words);
    if (then !== undefined && isFirst) {
      isFirst = false;
      given = () => then; // the next token, once the first one has shown its reason
      return queueMicrotask(() => relay.renew());
    }
    const [goal] = until.slice(-1);
    if (state !== goal[0] || (reason ?? null) !== goal[1]) return;
    console.log(JSON.stringify({ name, said }));
    relay.close();
    done();
  };
  relay.onStatus(look);
})));
process.exit();
