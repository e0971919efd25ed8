import { assertEquals } from "@std/assert";
import { tryChores } from "./small_faults.ts";
import { roleOf, type Row, SCENARIOS, tryAll } from "./fault_table.ts";

const ROOMS = ["storage", "session", "swarm", "peer", "tracker", "transport"];
/** A call of a file system or of a file, as the code in those rooms writes it. */
const CALL =
  /\b(?:fs|files|handle)\??\.(?:open|stat|rename|makeFolder|link|remove|removeFolder|list|readFile|writeFile|realPath|read|write|truncate|sync|close|lock)\(/;

/** Every line in `src/` that calls the file system, as `file:line`; the commands and the platform itself left out. */
async function callSites(): Promise<string[]> {
  const root = new URL("../../", import.meta.url);
  const found: string[] = [];
  for (const room of ROOMS) {
    for await (const { name } of Deno.readDir(new URL(`src/${room}`, root))) {
      if (!name.endsWith(".ts")) continue;
      const lines = (await Deno.readTextFile(new URL(`src/${room}/${name}`, root))).split("\n");
      for (const [index, line] of lines.entries()) {
        if (CALL.test(line) && !/^\s*(?:\*|\/\/)/.test(line)) found.push(`src/${room}/${name}:${index + 1}`);
      }
    }
  }
  return found;
}

Deno.test("each call of a whole download fails in every way: right bytes or the right error, and the next start mends it", async () => {
  const rows: Row[] = [];
  for (const scenario of SCENARIOS) rows.push(...await tryAll(scenario, (plans) => plans));
  const table = tableOf(rows);
  const text = table.map((cells) => cells.map((cell, i) => cell.padEnd([35, 17, 34, 48][i] ?? 0)).join(" ").trimEnd());
  await Deno.stdout.write(new TextEncoder().encode(`\n${text.join("\n")}\n\n${rows.length} runs\n`));
  const chores = await tryChores();
  const tried = new Set([...rows.flatMap(({ calls }) => calls), ...chores].map(({ site }) => site));
  assertEquals((await callSites()).filter((site) => !tried.has(site)), [], "call sites that were never tried");
});

/** One line for each call site and result. */
function tableOf(rows: readonly Row[]): string[][] {
  const lines = new Map<string, { roles: Set<string>; faults: Set<string>; result: string; runs: number }>();
  for (const { calls, plan, result } of rows) {
    for (const [index, call] of calls.entries()) {
      const mode = call.mode === "" ? "" : ` (${call.mode})`;
      const key = `${call.site}|${call.operation}${mode}|${result}`;
      const line = lines.get(key) ?? { roles: new Set(), faults: new Set(), result, runs: 0 };
      lines.set(key, line);
      line.roles.add(roleOf(call.path));
      line.faults.add(index === 0 ? plan.fault : `${plan.next} after another fault`);
      line.runs++;
    }
  }
  const head = ["call site", "call", "of", "faults", "result (runs)"];
  const body = [...lines].sort(([a], [b]) => a.localeCompare(b, "en", { numeric: true })).map(([key, line]) => {
    const [site, operation] = key.split("|");
    return [site!, operation!, [...line.roles].join(", "), [...line.faults].join(" "), `${line.result} (${line.runs})`];
  });
  return [head, ...body];
}
