import { assertEquals } from "@std/assert";
import { formatTable, median, swarmTable, type Turn, turnLines, turnTable } from "../../bench/swarm_table.ts";

const GIB = 2 ** 30;
const MIB = 2 ** 20;

function turn(seconds: readonly number[], failures: readonly string[] = []): Turn {
  const leechers = seconds.map((one) => ({ seconds: one, cpu: one / 2, peak: one * 10 * MIB }));
  return { leechers, failures, seederCpu: [0.25, 0.5] };
}

/** Returns the cells of a table, row by row, without its header. */
function cellsOf(table: string): string[][] {
  return table.split("\n").slice(2).map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

Deno.test("median() takes the middle one, or the mean of two, and of none it is not a number", () => {
  assertEquals(median([3, 1, 2]), 2);
  assertEquals(median([4, 1, 3, 2]), 2.5);
  assertEquals(median([7]), 7);
  assertEquals(median([]), NaN);
});

Deno.test("formatTable() pads as deno fmt does", () => {
  assertEquals(
    formatTable(["a", "longer"], [["value", "b"]]),
    "| a     | longer |\n| ----- | ------ |\n| value | b      |",
  );
});

Deno.test("turnTable() gives medians, and ratios to the base", () => {
  const rows = [
    { name: "shoal", turns: [turn([1]), turn([9]), turn([2])] },
    { name: "libtorrent", turns: [turn([4]), turn([4]), turn([4])] },
  ];
  assertEquals(cellsOf(turnTable(rows, { size: 2 * GIB, base: "libtorrent" })), [
    ["shoal", "3/3", "2.00 (1.00, 9.00)", "1074", "0.50", "0.50", "0.50", "90", "0.38"],
    ["libtorrent", "3/3", "4.00 (4.00, 4.00)", "537", "1.00", "1.00", "1.00", "40", "0.38"],
  ]);
});

Deno.test("turnTable() counts who failed, and has no figures of them", () => {
  const rows = [
    { name: "shoal", turns: [turn([2]), turn([], ["late"])] },
    { name: "libtorrent", turns: [turn([], ["late"])] },
  ];
  const [shoal, libtorrent] = cellsOf(turnTable(rows, { size: GIB, base: "libtorrent" }));
  assertEquals(shoal, ["shoal", "1/2", "2.00 (2.00, 2.00)", "537", "-", "1.00", "-", "20", "0.75"]);
  assertEquals(libtorrent, ["libtorrent", "0/1", "- (-, -)", "-", "-", "-", "-", "-", "-"]);
});

Deno.test("crowdTable() sets the first, the median and the last of a crowd against the bound", () => {
  const rows = [{ name: "shoal", turns: [turn([10, 12, 16]), turn([12, 12, 12]), turn([14, 12, 13])] }];
  assertEquals(cellsOf(swarmTable(rows, { size: GIB, bound: 10 })), [
    ["shoal", "9/9", "10.00", "12.00", "1.20", "12.00", "1.20", "14.00", "1.40", "6.00", "160", "0.75"],
  ]);
});

Deno.test("turnLines() is one line for one leecher, and says who failed", () => {
  const one = "2.00 s, 537 MB/s, CPU 1.00 s/GiB, peak 20 MiB";
  const seeders = "seeders' CPU 0.25 + 0.50 s/GiB";
  assertEquals(turnLines(turn([2]), GIB), [`${one}; ${seeders}`]);
  assertEquals(turnLines(turn([2, 2]), GIB), [one, one, seeders]);
  assertEquals(turnLines(turn([2], ["it was late"]), GIB), ["FAILED: it was late", one, seeders]);
});
