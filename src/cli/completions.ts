/**
 * `shoal completions`: prints a completion script for a shell.
 *
 * @module
 */

import { Argument, type Command } from "commander";
import type { CompletionModel } from "./completion_model.ts";
import type { Context } from "./context.ts";

/** Name of the default command. */
const STANDARD = "download";

const HELP = `
Examples:
  bash: shoal completions bash > ~/.local/share/bash-completion/completions/shoal
  zsh:  shoal completions zsh > ~/.zfunc/_shoal          (with ~/.zfunc in fpath)
  fish: shoal completions fish > ~/.config/fish/completions/shoal.fish`;

/** Adds `shoal completions` to the program. */
export function register(program: Command, context: Context): void {
  program
    .command("completions")
    .summary("shell completions")
    .description("Prints a shell script that completes commands, options and files.")
    .addArgument(new Argument("<shell>", "which shell").choices(["bash", "zsh", "fish"]))
    .addHelpText("after", HELP)
    .action(async (shell: "bash" | "zsh" | "fish") => {
      const [{ completionModel }, script] = await Promise.all([import("./completion_model.ts"), scriptFor(shell)]);
      await context.terminal.stdout.write(script(completionModel(program, STANDARD)));
    });
}

async function scriptFor(shell: "bash" | "zsh" | "fish"): Promise<(model: CompletionModel) => string> {
  switch (shell) {
    case "bash":
      return (await import("./completion_bash.ts")).bashScript;
    case "zsh":
      return (await import("./completion_zsh.ts")).zshScript;
    case "fish":
      return (await import("./completion_fish.ts")).fishScript;
  }
}
