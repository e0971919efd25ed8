/**
 * Applies the config file to a command. Any long option can be a key, and the command line wins over the file.
 *
 * @module
 */

import { type Command, Option } from "commander";
import { ShoalError } from "../base/errors.ts";
import { type ConfigFile, type ConfigSurroundings, readConfig } from "./config_file.ts";
import { nearest } from "./nearest.ts";

/**
 * Commands that keys above all tables apply to. Their options have the same meanings; other commands' options don't:
 * `max-peers` of `tracker` counts the peers of all torrents, `output` of `create` is a file.
 */
const TOP_LEVEL: readonly string[] = ["download", "seed", "info"];
/** Options that request a single action and make no sense in a config file. */
const ONCE: readonly string[] = ["help", "version", "list"];
/** Value source that commander records for settings from the config file. */
const SOURCE = "config";
/** Most repetitions of a repeatable switch that the config file may ask for. */
const MAX_COUNT = 9;

/** Settings from the config file that were applied to a command. */
export interface AppliedConfig {
  /** Path of the config file. */
  readonly path: string;
  /** Keys that took effect in this run. */
  readonly keys: readonly string[];
  /**
   * Adds the place in the config file to an error about an option, so that the user knows what to correct.
   *
   * @returns An error that names the file and the key if the option's value came from there, otherwise `error`.
   */
  blame(error: ShoalError): ShoalError;
}

/** A key of the config file that sets an option. */
interface Setting {
  readonly key: string;
  readonly option: Option;
  readonly value: unknown;
}

/**
 * Adds a hidden opposite to each switch, so that the command line can undo a setting of the config file.
 *
 * @param program The program with all of its commands.
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
 * Clears switches that were set to `false` by an opposite from {@linkcode addOpposites}, as if the switch had not been
 * given.
 *
 * @param command The command, with its command line parsed and the config file applied.
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
 * Sets the options of a command that the config file sets and the command line doesn't.
 *
 * @param command The command, with its command line parsed.
 * @param surroundings Where to find the config file.
 * @returns The applied settings; `null` if there is no config file.
 * @throws {ShoalError} Of kind `usage` if the file has an error, even in a part that applies to other commands.
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

/** Interprets one config file. */
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

  /** Returns the settings that apply to a command. Settings for other commands are checked as well. */
  async settingsOf(command: Command): Promise<readonly Setting[]> {
    const found = new Map<string, Setting>();
    const add = (settings: ReadonlyMap<string, Setting>): void => {
      for (const [name, setting] of settings) found.set(name, setting);
    };
    const entries = Object.entries(this.#file.values);
    const tables = entries.filter(([, value]) => isTable(value)) as [string, Record<string, unknown>][];
    const top = Object.fromEntries(entries.filter(([, value]) => !isTable(value)));
    add(await this.#read(top, { commands: this.#named(TOP_LEVEL), target: command }));
    // Tables are read after the top level, whatever their order in the file, because a table overrides the top level.
    for (const [name, table] of tables) {
      const [owner] = this.#named([name]);
      if (owner === undefined) throw await this.#unknownTable(name);
      const settings = await this.#read(table, { commands: [owner], target: owner, table: name });
      if (owner === command) add(settings);
    }
    return [...found.values()];
  }

  /** Reads one table, or the top level. Returns the settings for `target` by attribute name of the option. */
  async #read(
    values: Readonly<Record<string, unknown>>,
    { commands, target, table }: {
      readonly commands: readonly Command[];
      readonly target: Command;
      readonly table?: string;
    },
  ): Promise<ReadonlyMap<string, Setting>> {
    const found = new Map<string, Setting>();
    const seen = new Map<string, string>();
    for (const [name, value] of Object.entries(values)) {
      const key = table === undefined ? name : `${table}.${name}`;
      if (ONCE.includes(name)) {
        throw this.#bad(key, "it asks for something once, and belongs on the command line");
      }
      const owner = commands.find((command) => optionOf(command, name) !== undefined);
      if (owner === undefined || isRefused(optionOf(owner, name)!, owner)) {
        throw await this.#unknownKey(name, { key, commands });
      }
      // Every value is checked, also those that have no effect in this run.
      const own = optionOf(owner, name)!;
      this.#checkType(key, { option: own, value });
      this.#checkValue(key, { option: own, value });
      const other = seen.get(own.attributeName());
      if (other !== undefined) throw this.#bad(key, `${other} sets the same`, "keep one of them");
      seen.set(own.attributeName(), key);
      const option = commands.includes(target) ? optionOf(target, name) : undefined;
      // `output` of `info` is a file, and that of the other commands a folder.
      if (option === undefined || valueOf(option) !== valueOf(own)) continue;
      found.set(option.attributeName(), { key, option, value });
    }
    return found;
  }

  /**
   * Passes a setting to commander.
   *
   * @returns Whether the setting has an effect. It has none if the command line sets the option, or if it sets a switch
   * of the help to `false`, which is the default.
   */
  apply({ option, value }: Setting, command: Command): boolean {
    const name = option.attributeName();
    if (command.getOptionValueSource(name) === "cli") return false;
    const args = this.#argsOf(option, value);
    for (const arg of args) {
      try {
        command.parseOptions([arg]);
      } catch (error) {
        // commander records no source for a refused value, and blame() needs one.
        command.setOptionValueWithSource(name, command.getOptionValue(name), SOURCE);
        throw error instanceof ShoalError ? this.blame(error, command) : error;
      }
      command.setOptionValueWithSource(name, command.getOptionValue(name), SOURCE);
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

  /** Converts a value to command-line arguments. */
  #argsOf(option: Option, value: unknown): readonly string[] {
    const flag = option.long!;
    if (Array.isArray(value)) return value.flatMap((item) => this.#argsOf(option, item));
    if (typeof value === "boolean") {
      if (value) return [flag];
      // A hidden switch is the opposite of one in the help: `dht = false` is `no-dht = true`.
      return option.hidden && !option.optional
        ? [flag.startsWith("--no-") ? `--${flag.slice(5)}` : `--no-${flag.slice(2)}`]
        : [];
    }
    if (option.isBoolean()) return new Array(Number(value)).fill(flag);
    return [`${flag}=${this.#expanded(String(value), option)}`];
  }

  /** Expands `~` in paths, as the shell does on the command line. */
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

  /** Parses a value as the command line's parser does. */
  #checkValue(key: string, { option, value }: { readonly option: Option; readonly value: unknown }): void {
    if (typeof value === "boolean" || option.isBoolean()) return;
    for (const one of [value].flat()) {
      const text = this.#expanded(String(one), option);
      try {
        const parsed: unknown = option.parseArg?.(text, undefined);
        // The parser of an option that can be repeated makes a list.
        if (Array.isArray(value) && !Array.isArray(parsed)) throw this.#bad(key, "it takes one value, not a list");
      } catch (error) {
        if (!(error instanceof ShoalError) || error.where.startsWith(this.#file.path)) throw error;
        const { kind, what, why, hint } = error;
        throw new ShoalError(kind, { what, where: this.#place(`${key} = ${text}`), why, hint, cause: error });
      }
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
    return this.#bad(key, "there is no such option", await suggestion(name, known), "unknown key");
  }

  async #unknownTable(name: string): Promise<ShoalError> {
    const known = this.#commands.map((command) => command.name());
    const hint = await suggestion(name, known) || `there may be tables for ${known.join(", ")}`;
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

/** Returns the kind of value that an option takes, as help shows it. */
function valueOf({ flags }: Option): string {
  return /[<[].*/.exec(flags)?.[0] ?? "";
}

/** Returns `true` if an option only exists to be refused. An opposite has the name of a visible option. */
function isRefused(option: Option, { options }: Command): boolean {
  return option.hidden && !options.some((one) => !one.hidden && one.attributeName() === option.attributeName());
}

/** Returns `true` if help shows the option and the config file may set it. */
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

/** Returns a hint with the closest known name, or an empty string if none is close. */
async function suggestion(name: string, known: readonly string[]): Promise<string> {
  const closest = await nearest(name, known);
  return closest === null ? "" : `did you mean ${closest}?`;
}
