import { assertEquals } from "@std/assert";
import { commandLine } from "../../bench/swarm_machine.ts";

Deno.test("commandLine() can be given to a shell again", () => {
  assertEquals(
    commandLine(["--leech", "shoal,aria2", "--cap", "5M"], undefined),
    "deno task bench:swarm --leech shoal,aria2 --cap 5M",
  );
  assertEquals(
    commandLine(["--shoal", "it's=deno run main.ts"], "dist/shoal"),
    `SHOAL=dist/shoal deno task bench:swarm --shoal 'it'\\''s=deno run main.ts'`,
  );
});
