// @ts-check
// Make the types that tsc has written those of a package. Usage: node scripts/published_types.js FOLDER
//
// - tsc writes a `@typedef {import("./messages.js").TaskSummary} TaskSummary` as an alias of its own. It becomes a
//   re-export: an application that exports what a hook returns, and has declarations written, needs the type itself
//   from an entry of the package, because it cannot import the file behind that (TS2742).
// - What is marked `@internal` is removed. `stripInternal` of tsc does so only for sources in TypeScript.

import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const ALIAS = /^export type (\w+)(?:<.*>)? = import\("([^"]+)"\)\.\1(?:<.*>)?;$/gm;
const INTERNAL = /^ *\/\*\*(?:(?!\*\/)[^])*@internal(?:(?!\*\/)[^])*\*\/\n.*;\n/gm;
const [folder = ""] = process.argv.slice(2);

for (const name of readdirSync(folder, { recursive: true, encoding: "utf-8" })) {
  if (!name.endsWith(".d.ts")) continue;
  const path = join(folder, name);
  const text = readFileSync(path, "utf-8");
  const reexported = text.replace(ALIAS, 'import type { $1 } from "$2";\nexport type { $1 };');
  writeFileSync(path, reexported.replace(INTERNAL, ""));
}
