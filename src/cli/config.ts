/**
 * Options that the user has put into the config file: any long option as a key. The command line wins.
 *
 * @module
 */

import { type Command, Option } from "commander";
import { ShoalError } from "../base/errors.ts";
import { type ConfigFile, type ConfigSurroundings, readConfig } from "./config_file.ts";

/**
 * Commands that the keys above all tables are for: those that move data, whose options mean the same. Elsewhere they don't:
 * `max-peers` of a tracker is for all of its torrents together, `output` of `create` is a file.
 */
const TOP_LEVEL: readonly string[] = ["download", "seed", "info"];
/** Options that ask for something once. */
const ONCE: readonly string[] = ["help", "version", "list"];
/** What commander calls a value that is neither a default nor from the command line. */
const SOURCE = "config";
/** How often a switch that can be repeated may be. */
const MAX_COUNT = 9;

/** The config file, as far as a command goes by it. */
export interface AppliedConfig {
  /** Where it is. */
  readonly path: string;
  /** Keys that have an effect on this run. */
  readonly keys: readonly string[];
  /**
   * An error about an option, so that the user finds the place to mend.
   *
   * @returns The same, or one that names file and key when the option's value came from there.
   */
  blame(error: ShoalError): ShoalError;
}

/** One key of the file. */
interface Setting {
  readonly key: string;
  readonly option: Option;
  readonly value: unknown;
}

/**
 * Gives each switch its opposite, so that the command line can undo what the file says. Help doesn't show them.
 *
 * @param program The program, with all of its commands.
 */
export function addOpposites(program: Command): void {
  for (const command of program.commands) {
    for (const option of [...command.options]) {
      const isCounter = option.isBoolean() && option.parseArg !== undefined;
      if (option.hidden || option.required || isCounter) continue;
      const flag = option.negate ? `--${option.name().slice("no-".length)}` : `--no-${option.name()}`;
      if (!command.options.some(({ long }) => long === flag)) command.addOption(new Option(flag).hideHelp());
    }
  }
}

/**
 * Takes back what {@linkcode addOpposites} has left: a switch that was undone is as one that wasn't given.
 *
 * @param command The command, its command line parsed and the config file applied.
 */
export function clearOpposites(command: Command): void {
  for (const option of command.options) {
    const name = option.attributeName();
    if (option.hidden && option.negate && command.getOptionValue(name) === false) {
      command.setOptionValueWithSource(name, undefined, command.getOptionValueSource(name));
    }
  }
}

/**
 * Sets the options of a command that the config file names and the command line doesn't.
 *
 * @param command The command, its command line parsed.
 * @param surroundings Where the file is.
 * @returns What came from the file; `null` when there is none.
 * @throws {ShoalError} Of kind `usage` if there is something wrong with it, be it only in a part that isn't for this command.
 */
export async function applyConfig(command: Command, surroundings: ConfigSurroundings): Promise<AppliedConfig | null> {
  if (!command.options.some(isSettable)) return null;
  const file = await readConfig(surroundings);
  if (file === null) return null;
  const reader = new Reader(file, {
    commands: command.parent?.commands ?? [],
    home: surroundings.terminal.env("HOME"),
  });
  const settings = await reader.settingsOf(command);
  const keys = settings.filter((setting) => reader.apply(setting, command)).map(({ key }) => key);
  return { path: file.path, keys, blame: (error) => reader.blame(error, command) };
}

/** Goes through one file. */
class Reader {
  readonly #file: ConfigFile;
  readonly #commands: readonly Command[];
  readonly #home: string | undefined;

  constructor(
    file: ConfigFile,
    options: { readonly commands: readonly Command[]; readonly home: string | undefined },
  ) {
    this.#file = file;
    this.#commands = options.commands.filter((command) => command.options.some(isSettable));
    this.#home = options.home;
  }

  /** What the file says about the options of a command; what it says about others is looked through as well. */
  async settingsOf(command: Command): Promise<readonly Setting[]> {
    const found = new Map<string, Setting>();
    const add = (settings: ReadonlyMap<string, Setting>): void => {
      for (const [name, setting] of settings) found.set(name, setting);
    };
    const entries = Object.entries(this.#file.values);
    const tables = entries.filter(([, value]) => isTable(value)) as [string, Record<string, unknown>][];
    const top = Object.fromEntries(entries.filter(([, value]) => !isTable(value)));
    add(await this.#read(top, { commands: this.#named(TOP_LEVEL), target: command }));
    // Tables come after the top level, since they know better, wherever they stand.
    for (const [name, table] of tables) {
      const [owner] = this.#named([name]);
      if (owner === undefined) throw await this.#unknownTable(name);
      const settings = await this.#read(table, { commands: [owner], target: owner, table: name });
      if (owner === command) add(settings);
    }
    return [...found.values()];
  }

  /** Settings by the name of what they set. */
  async #read(
    values: Readonly<Record<string, unknown>>,
    { commands, target, table }: {
      readonly commands: readonly Command[];
      readonly target: Command;
      readonly table?: string;
    },
  ): Promise<ReadonlyMap<string, Setting>> {
    const found = new Map<string, Setting>();
    for (const [name, value] of Object.entries(values)) {
      const key = table === undefined ? name : `${table}.${name}`;
      if (ONCE.includes(name)) {
        throw this.#bad(key, "it asks for something once, and belongs on the command line");
      }
      const owner = commands.find((command) => optionOf(command, name) !== undefined);
      if (owner === undefined) throw await this.#unknownKey(name, { key, commands });
      this.#checkType(key, { option: optionOf(owner, name)!, value });
      const option = commands.includes(target) ? optionOf(target, name) : undefined;
      if (option === undefined) continue;
      const other = found.get(option.attributeName());
      if (other !== undefined) throw this.#bad(key, `${other.key} sets the same`, "keep one of them");
      found.set(option.attributeName(), { key, option, value });
    }
    return found;
  }

  /** @returns Whether the setting has an effect: the command line wins, and `false` is what a switch is anyway. */
  apply({ key, option, value }: Setting, command: Command): boolean {
    const name = option.attributeName();
    if (command.getOptionValueSource(name) === "cli") return false;
    const args = this.#argsOf(option, value);
    for (const [i, arg] of args.entries()) {
      try {
        command.parseOptions([arg]);
      } catch (error) {
        // The value was refused, so that commander doesn't know that it was there.
        command.setOptionValueWithSource(name, command.getOptionValue(name), SOURCE);
        throw error instanceof ShoalError ? this.blame(error, command) : error;
      }
      command.setOptionValueWithSource(name, command.getOptionValue(name), SOURCE);
      if (i === 0 && Array.isArray(value) && !Array.isArray(command.getOptionValue(name))) {
        throw this.#bad(key, "it takes one value, not a list");
      }
    }
    return args.length > 0;
  }

  blame(error: ShoalError, command: Command): ShoalError {
    const [, name = "", rest = ""] = /^--([a-z0-9-]+)(?:[ =](.*))?$/s.exec(error.where) ?? [];
    const option = optionOf(command, name);
    if (option === undefined || command.getOptionValueSource(option.attributeName()) !== SOURCE) return error;
    const { kind, what, why, hint } = error;
    const where = this.#place(rest === "" ? name : `${name} = ${rest}`);
    return new ShoalError(kind, { what, where, why, hint, cause: error });
  }

  /** As they would stand on the command line. */
  #argsOf(option: Option, value: unknown): readonly string[] {
    const flag = option.long!;
    if (Array.isArray(value)) return value.flatMap((item) => this.#argsOf(option, item));
    if (typeof value === "boolean") {
      return value ? [flag] : [];
    }
    if (option.isBoolean()) return new Array(Number(value)).fill(flag);
    return [`${flag}=${this.#expanded(String(value), option)}`];
  }

  /** On the command line, the shell does it. */
  #expanded(value: string, option: Option): string {
    const isPath = /<(?:dir|file|path)>/.test(option.flags);
    return isPath && this.#home && /^~(?:\/|$)/.test(value) ? `${this.#home}${value.slice(1)}` : value;
  }

  #checkType(key: string, { option, value }: { readonly option: Option; readonly value: unknown }): void {
    const values = Array.isArray(value) && option.required ? value : [value];
    for (const one of values) {
      const isText = typeof one === "string" || (typeof one === "number" && Number.isFinite(one));
      const isCount = option.parseArg !== undefined && Number.isInteger(one) && Number(one) >= 0 &&
        Number(one) <= MAX_COUNT;
      const fits = option.required
        ? isText
        : option.optional
        ? isText || typeof one === "boolean"
        : typeof one === "boolean" || (option.isBoolean() && isCount);
      if (fits) continue;
      const expected = option.required
        ? "text or a number was expected"
        : option.optional
        ? "text, a number, true or false was expected"
        : option.parseArg === undefined
        ? "true or false was expected"
        : `true, false or a number from 0 to ${MAX_COUNT} was expected`;
      throw this.#bad(key, `${expected}, found ${kindOf(one)}`);
    }
  }

  async #unknownKey(
    name: string,
    { key, commands }: { readonly key: string; readonly commands: readonly Command[] },
  ): Promise<ShoalError> {
    const owner = this.#commands.find((command) => optionOf(command, name)?.hidden === false);
    if (owner !== undefined) {
      return this.#bad(key, `it is an option of \`${owner.name()}\``, `put it into the table [${owner.name()}]`);
    }
    const table = this.#named([name])[0];
    if (table !== undefined) return this.#bad(key, `options of \`${name}\` belong into a table [${name}]`);
    const known = commands.flatMap(({ options }) => options.filter(isSettable)).map((option) => option.long!.slice(2));
    return this.#bad(key, "there is no such option", await nearest(name, known), "unknown key");
  }

  async #unknownTable(name: string): Promise<ShoalError> {
    const known = this.#commands.map((command) => command.name());
    const hint = await nearest(name, known) || `there may be tables for ${known.join(", ")}`;
    return this.#bad(name, "no command of that name has options", hint, "unknown table");
  }

  #named(names: readonly string[]): readonly Command[] {
    return this.#commands.filter((command) => names.includes(command.name()));
  }

  #bad(key: string, why: string, hint = "", what = "bad setting"): ShoalError {
    return new ShoalError("usage", { what, where: this.#place(key), why, hint });
  }

  #place(key: string): string {
    return `${this.#file.path}, ${key}`;
  }
}

function optionOf(command: Command, key: string): Option | undefined {
  return command.options.find(({ long }) => long === `--${key}`);
}

/** Whether it can stand in the file, and help shows it. */
function isSettable(option: Option): boolean {
  return !option.hidden && !ONCE.includes(option.name());
}

function isTable(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (isTable(value)) return "a table";
  if (value instanceof Date) return "a date";
  return JSON.stringify(value) === "null" ? String(value) : JSON.stringify(value);
}

/** What may have been meant; empty when nothing comes near. */
async function nearest(name: string, known: readonly string[]): Promise<string> {
  const { closestString, levenshteinDistance } = await import("@std/text");
  const closest = closestString(name, known);
  const isNear = levenshteinDistance(name, closest) <= Math.max(2, closest.length / 3);
  return isNear ? `did you mean ${closest}?` : "";
}
