/** Tests of the scripts that `shoal completions` prints, in real shells. */

import { assertEquals } from "@std/assert";
import { Job } from "../support/job.ts";
import { testWith } from "../support/requirements.ts";
import { withScratch } from "../support/scratch.ts";
import { shoalCommand } from "./clients.ts";

/** Typed lines with a single completion, and the completed word. */
const UNIQUE: readonly (readonly [line: string, word: string])[] = [
  ["shoal dow", "download"],
  ["shoal completions f", "fish"],
  ["shoal create deb --priv", "--private"],
  ["shoal --seq", "--sequential"],
  ["shoal info de", "debian.torrent"],
  ["shoal deb", "debian.torrent"],
  ["shoal verify -q debian.torrent fo", "folder/"],
  ["shoal dl --max-peers 5 -o fo", "folder/"],
  ["shoal create no", "notes.txt"],
];

async function run(argv: readonly string[], cwd: string): Promise<readonly string[]> {
  // The user's own shell configuration must not apply. Shoal runs in the test's environment.
  const env: Record<string, string> = argv[0]!.endsWith("sh") ? { TERM: "dumb", HOME: cwd, ZDOTDIR: cwd } : {};
  await using job = new Job(argv, { name: argv[0]!, cwd, env });
  const { code, stdout, stderr } = await job.exit(60);
  assertEquals([code, stderr], [0, []], argv.join(" "));
  return stdout;
}

/** Runs a test in a folder with some files and the completion script of a shell. */
function withScript(shell: string, body: (folder: string) => Promise<void>): Promise<void> {
  return withScratch(async (folder) => {
    for (const file of ["debian.torrent", "notes.txt"]) await Deno.writeTextFile(`${folder}/${file}`, "");
    await Deno.mkdir(`${folder}/folder`);
    const script = await run([...shoalCommand(), "completions", shell], folder);
    await Deno.writeTextFile(`${folder}/script`, `${script.join("\n")}\n`);
    await body(folder);
  });
}

const BASH = `
set -u
. ./script
complete -p shoal
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
_shoal shoal "\${COMP_WORDS[COMP_CWORD]}" ""
printf '%s\\n' "\${COMPREPLY[@]-}"
`;

testWith("bash completes commands, options and files of shoal", [], () =>
  withScript("bash", async (folder) => {
    const complete = async (line: string) => {
      const [declared, ...words] = await run(["bash", "--norc", "-c", BASH, "bash", ...line.split(" ")], folder);
      assertEquals(declared, "complete -F _shoal shoal");
      return words;
    };
    // Bash itself adds the slash at the end of a folder.
    for (const [line, word] of UNIQUE) assertEquals(await complete(line), [word.replace("/", "")], line);
    assertEquals(await complete("shoal info --timeout "), [""]);
    assertEquals(await complete("shoal dl d"), ["debian.torrent"]);
    assertEquals(await complete("shoal dl x.torrent d"), ["debian.torrent"]);
    assertEquals(await complete("shoal info x.torrent d"), [""]);
    assertEquals(await complete("shoal create folder -"), await complete("shoal create -"));
    assertEquals(await complete("shoal completions "), ["bash", "zsh", "fish"]);
  }));

testWith("fish completes commands, options and files of shoal", ["fish"], () =>
  withScript("fish", async (folder) => {
    for (const [line, word] of UNIQUE) {
      const found = await run(["fish", "--no-config", "-c", "source script; complete -C $argv[1]", line], folder);
      assertEquals(found.map((text) => text.split("\t")[0]), [word], line);
    }
  }));

const ZSHRC = `
autoload -Uz compinit
compinit -u -D
source ./script
report() {
  print -r -- "$BUFFER" > typed
  BUFFER=exit
  zle accept-line
}
zle -N report
bindkey '^O' report
PS1='READY '
`;
const ZSH = `
zmodload zsh/zpty
zpty shell zsh -i
zpty -r shell seen '*READY*'
zpty -w -n shell "$1"$'\\t\\C-o'
while zpty -r shell seen; do :; done
cat typed
`;

testWith("zsh completes commands, options and files of shoal", ["zsh"], () =>
  withScript("zsh", async (folder) => {
    await Deno.writeTextFile(`${folder}/.zshrc`, ZSHRC);
    for (const [line, word] of UNIQUE) {
      const [typed] = await run(["zsh", "-f", "-c", ZSH, "zsh", line], folder);
      assertEquals(typed!.trimEnd(), `${line.slice(0, line.lastIndexOf(" "))} ${word}`, line);
    }
  }));
