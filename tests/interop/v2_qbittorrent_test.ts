import { testV2Pairs } from "./v2_pairs.ts";

testV2Pairs("qbittorrent");
