/**
 * Inputs that failed once, or that stand for a kind of failure, kept as files: `tests/corpus/TARGET/NAME.bin`.
 *
 * @module
 */

import type { Bytes } from "../../src/base/bytes.ts";
import { streamOf } from "./dice.ts";
import { type Failure, faultOf } from "./fuzzer.ts";
import { shrink } from "./shrink.ts";
import type { Target } from "./target.ts";

/** Folder of the corpus. */
export const CORPUS = new URL("../corpus/", import.meta.url);

/** A file of the corpus. */
export interface CorpusEntry {
  readonly name: string;
  readonly input: Bytes;
}

/**
 * Reads the inputs of a target.
 *
 * @returns The inputs, ordered by name; none if the target has no folder.
 */
export async function readCorpus(target: string, corpus = CORPUS): Promise<CorpusEntry[]> {
  const folder = new URL(`${target}/`, corpus);
  const entries: CorpusEntry[] = [];
  try {
    for await (const { name } of Deno.readDir(folder)) {
      if (name.endsWith(".bin")) entries.push({ name, input: await Deno.readFile(new URL(name, folder)) as Bytes });
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return entries.sort((a, b) => a.name < b.name ? -1 : 1);
}

/**
 * Shrinks a failing input and keeps it in the corpus.
 *
 * @returns Path of the file.
 */
export async function keepFailure(target: Target, failure: Failure, corpus = CORPUS): Promise<string> {
  const kind = kindOf(failure.what);
  const input = shrink(failure.input, (candidate) => kindOf(faultOf(target, candidate) ?? "") === kind);
  const folder = new URL(`${target.name}/`, corpus);
  await Deno.mkdir(folder, { recursive: true });
  const file = new URL(`${nameOf(kind)}.bin`, folder);
  await Deno.writeFile(file, input);
  return decodeURI(file.pathname);
}

/**
 * Returns a failure without the parts that differ from input to input, so that shrinking sticks to one kind of failure.
 */
function kindOf(what: string): string {
  return what.replace(/"(?:[^"\\]|\\.)*"|\[.*\]|\d+/gs, "#");
}

/** Returns the file name for a kind of failure. */
function nameOf(kind: string): string {
  const words = kind.toLowerCase().replace(/[^a-z]+/g, "-").slice(0, 60).replace(/^-|-$/g, "");
  return `${words}-${(streamOf(kind) >>> 0).toString(16).padStart(8, "0")}`;
}
