/**
 * Joins the modules of the program to a few files in dist/bundle, which `deno task compile` compiles: two hundred
 * modules take 20 ms longer to load. Nothing is shortened, so that stack traces stay readable. Packages
 * are left to `deno compile`.
 *
 *     deno task bundle
 *
 * @module
 */

import { build, type Plugin, stop } from "esbuild";

const ROOT = decodeURI(new URL("..", import.meta.url).pathname);
/** The modules that the program starts threads with. */
const WORKERS = ["src/platform/disk_worker.ts", "src/platform/hash_worker.ts"];
const FOLDER = "dist/bundle";

/** Leaves everything but our own files to whoever loads the bundle. */
const packages: Plugin = {
  name: "packages",
  setup: ({ onResolve }) => {
    onResolve({ filter: /^[^./]/ }, ({ path, kind }) => kind === "entry-point" ? null : { path, external: true });
  },
};

/** Names of workers whose threads the program starts. */
const started: string[] = [];
/** Renames the workers where threads are started: in the bundle they are JavaScript, and lie beside all else. */
const workers: Plugin = {
  name: "workers",
  setup: ({ onLoad }) => {
    onLoad({ filter: /\/src\/platform\/.*\.ts$/ }, async ({ path }) => {
      const source = await Deno.readTextFile(path);
      const contents = source.replace(/new URL\("\.\/(\w+)\.ts"/g, (_, name: string) => {
        started.push(`src/platform/${name}.ts`);
        return `new URL("./${name}.js"`;
      });
      return { loader: "ts", contents };
    });
  },
};

if (import.meta.main) {
  await Deno.remove(`${ROOT}${FOLDER}`, { recursive: true }).catch((error) => {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  });
  try {
    await build({
      absWorkingDir: ROOT,
      entryPoints: ["main.ts", ...WORKERS],
      outdir: FOLDER,
      entryNames: "[name]",
      chunkNames: "[name]-[hash]",
      bundle: true,
      splitting: true,
      format: "esm",
      platform: "neutral",
      target: "esnext",
      plugins: [packages, workers],
      logLevel: "warning",
    });
    if (started.sort().join() !== WORKERS.join()) {
      throw new Error(
        `threads are started with ${started.join(", ") || "nothing"}, and not with ${WORKERS.join(", ")}`,
      );
    }
  } finally {
    await stop();
  }
}
