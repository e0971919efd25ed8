import { run } from "./src/cli/main.ts";
import { denoPlatform } from "./src/platform/deno_platform.ts";
import { denoTerminal } from "./src/platform/deno_terminal.ts";

if (import.meta.main) {
  denoTerminal.exit(await run(Deno.args, { platform: denoPlatform, terminal: denoTerminal }));
}
