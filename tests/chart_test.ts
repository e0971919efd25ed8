import { assertEquals, assertThrows } from "@std/assert";
import { drawChart, panelsOf } from "../bench/chart.ts";

Deno.test("chart: docs/benchmark.svg is what `deno task chart` draws from bench/RESULTS.md", async () => {
  const results = await Deno.readTextFile(new URL("../bench/RESULTS.md", import.meta.url));
  assertEquals(
    await Deno.readTextFile(new URL("../docs/benchmark.svg", import.meta.url)),
    drawChart(panelsOf(results)),
  );
});

Deno.test("chart: panelsOf() reads the clients that are drawn, and says what is missing", () => {
  const table = (title: string) => `
## ${title}

| leecher      | right | wall, s (from, to) | CPU, s/GiB |
| ------------ | ----- | ------------------ | ---------- |
| shoal        | 3/3   | 2.00 (1.9, 2.1)    | 2.50       |
| compiled     | 3/3   | 1.50 (1.4, 1.6)    | 2.00       |
| libtorrent21 | 3/3   | 1.25 (1.2, 1.3)    | 1.40       |
`;
  const text = table("1 GiB from Shoal") + table("1 GiB from libtorrent 2.1");
  assertEquals(panelsOf(text)[0], {
    title: "1 GiB from Shoal: time, s",
    bars: [{ name: "Shoal", value: 1.5 }, { name: "libtorrent 2.1", value: 1.25 }],
  });
  assertEquals(panelsOf(text).map(({ bars }) => bars[0]!.value), [1.5, 2, 1.5, 2]);
  assertThrows(() => panelsOf(table("1 GiB from Shoal")), Error, 'no section "1 GiB from libtorrent 2.1"');
  assertThrows(() => panelsOf(text.replaceAll("CPU", "cpu")), Error, 'no column "CPU, s/GiB"');
});
