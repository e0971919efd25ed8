/**
 * What a file is, by its name.
 *
 * @module
 */

import { typeByExtension } from "npm:deno-std@1.4.0/media_types/type_by_extension.js";

/** Of what can't be told. */
const UNKNOWN = "application/octet-stream";

/**
 * The media type of a file.
 *
 * @param name Its name.
 * @returns As `video/mp4`; `application/octet-stream` when the extension says nothing.
 */
export function contentType(name: string): string {
  const dot = name.lastIndexOf(".");
  return (dot > 0 ? typeByExtension(name.slice(dot + 1)) : undefined) ?? UNKNOWN;
}

/** Whether a player would play it. */
export function isMedia(type: string): boolean {
  return /^(?:video|audio)\//.test(type);
}

/**
 * Whether a browser that shows it should run nothing of what is in it: a page out of a torrent could read everything else that we
 * serve, since it comes from the same place. What a browser plays, or shows in a viewer of its own, needs no such care.
 */
export function isActiveContent(type: string): boolean {
  return !isMedia(type) && type !== "application/pdf";
}
