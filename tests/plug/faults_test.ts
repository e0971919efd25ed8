import { assertEquals } from "@std/assert";
import { tryChores } from "./small_faults.ts";
import { roleOf, type Row, SCENARIOS, tryAll } from "./fault_table.ts";

const ROOMS = ["storage", "session", "swarm", "peer", "tracker", "transport"];
/** Matches a call of a file system or file handle in the code of {@linkcode ROOMS}. */
const CALL =
  /\b(?:fs|files|handle)\??\.(?:open|stat|rename|makeFolder|link|remove|removeFolder|list|readFile|writeFile|realPath|read|write|truncate|sync|close|lock)\(/;

/** Returns every line in {@linkcode ROOMS} that calls the file system, as `file:line`. */
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

Deno.test("a download with any fault in any file system call gives right bytes or the right error, and a restart completes", async () => {
  const rows: Row[] = [];
  for (const scenario of SCENARIOS) rows.push(...await tryAll(scenario, (plans) => plans));
  const table = tableOf(rows);
  const text = table.map((cells) => cells.map((cell, i) => cell.padEnd([35, 17, 34, 48][i] ?? 0)).join(" ").trimEnd());
  await Deno.stdout.write(new TextEncoder().encode(`\n${text.join("\n")}\n\n${rows.length} runs\n`));
  const chores = await tryChores();
  const tried = new Set([...rows.flatMap(({ calls }) => calls), ...chores].map(({ site }) => site));
  assertEquals((await callSites()).filter((site) => !tried.has(site)), [], "call sites that were never tried");
});

/** Returns table rows, one for each call site and result. */
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
