/**
 * Measures the event loop of the program that it is preloaded into (`--preload`), from the first dial on: how late
 * timers of 5 ms fire, and the timers of the live view. Writes a {@linkcode Reading} to the file in the variable
 * `SHOAL_GAUGE` when the program exits.
 *
 * @module
 */

/** Measurements in milliseconds. */
export interface Reading {
  /** Lateness of each tick of the gauge. */
  readonly delays: readonly number[];
  /**
   * Lateness of each tick, but at most the time that the main thread computed since the last one: the part that would
   * remain on an idle machine.
   */
  readonly own: readonly number[];
  /** Lateness of each redraw. */
  readonly redraws: readonly number[];
  /** Duration of each redraw. */
  readonly drawing: readonly number[];
  /** Time that the main thread waited for a processor that other threads used. */
  readonly waited: number;
  /** Time from the first dial to the end. */
  readonly lasted: number;
}

const TICK_MS = 5;
/** Interval of the live view's frames (src/ui/live_view.ts). No other timer has this length. */
const FRAME_MS = 200;

const delays: number[] = [];
const own: number[] = [];
const redraws: number[] = [];
const drawing: number[] = [];
let began = -1;
let waitedBefore = 0;

/** Returns the milliseconds that the main thread ran, and that it was ready but did not run. */
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
