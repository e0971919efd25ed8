import { testV2Pairs } from "./v2_pairs.ts";

testV2Pairs("qbittorrent", ({ version, link, leecher }) => leecher === "shoal" ? link !== "btmh" : version === "v2");
