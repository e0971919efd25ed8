/**
 * Measures the event loop of the program that it is loaded into with `--preload`, from its first dial on: how much later than
 * asked for a timer of 5 ms comes, and the timers of the live view. Writes a {@linkcode Reading} to the file that the variable
 * `SHOAL_GAUGE` names when the program leaves.
 *
 * @module
 */

/** What was measured, in milliseconds. */
export interface Reading {
  /** How late each tick of the gauge was. */
  readonly delays: readonly number[];
  /** The same, but no more than the main thread computed since the tick before: what would be left on an idle machine. */
  readonly own: readonly number[];
  /** How late each redraw began. */
  readonly redraws: readonly number[];
  /** How long each redraw took. */
  readonly drawing: readonly number[];
  /** How long the main thread waited for a processor that others had. */
  readonly waited: number;
  /** From the first dial to the end. */
  readonly lasted: number;
}

const TICK_MS = 5;
/** The live view's frames, and nobody else, use timers of this length (src/ui/live_view.ts). */
const FRAME_MS = 200;

const delays: number[] = [];
const own: number[] = [];
const redraws: number[] = [];
const drawing: number[] = [];
let began = -1;
let waitedBefore = 0;

/** Milliseconds that the main thread ran, and that it was ready to run and did not. */
function processor(): { readonly ran: number; readonly waited: number } {
  const [ran, waited] = Deno.readTextFileSync("/proc/self/schedstat").split(" ");
  return { ran: Number(ran) / 1e6, waited: Number(waited) / 1e6 };
}

const { setTimeout: after } = globalThis;
const { connect } = Deno;

function tick(): void {
  const due = performance.now() + TICK_MS;
  const { ran } = processor();
  const timer = after(() => {
    const delay = Math.max(0, performance.now() - due);
    delays.push(delay);
    own.push(Math.min(delay, processor().ran - ran));
    tick();
  }, TICK_MS);
  Deno.unrefTimer(timer as unknown as number);
}

globalThis.setTimeout = ((run: (...args: unknown[]) => void, milliseconds?: number, ...args: unknown[]) => {
  if (milliseconds !== FRAME_MS) return after(run, milliseconds, ...args);
  const due = performance.now() + FRAME_MS;
  return after(() => {
    const now = performance.now();
    run(...args);
    if (began < 0) return;
    redraws.push(Math.max(0, now - due));
    drawing.push(performance.now() - now);
  }, milliseconds);
}) as typeof setTimeout;

Object.assign(Deno, {
  connect(options: Deno.ConnectOptions) {
    if (began < 0) {
      began = performance.now();
      waitedBefore = processor().waited;
      tick();
    }
    return connect(options);
  },
});

addEventListener("unload", () => {
  const lasted = performance.now() - began;
  const reading: Reading = { delays, own, redraws, drawing, waited: processor().waited - waitedBefore, lasted };
  Deno.writeTextFileSync(Deno.env.get("SHOAL_GAUGE")!, JSON.stringify(reading));
});
