/**
 * Media types of files, by file name.
 *
 * @module
 */

import { typeByExtension } from "npm:deno-std@1.4.0/media_types/type_by_extension.js";

/** Media type of a file with an unknown extension. */
const UNKNOWN = "application/octet-stream";

/**
 * Returns the media type of a file.
 *
 * @param name Name of the file.
 * @returns A type such as `video/mp4`; `application/octet-stream` if the extension is unknown.
 */
export function contentType(name: string): string {
  const dot = name.lastIndexOf(".");
  return (dot > 0 ? typeByExtension(name.slice(dot + 1)) : undefined) ?? UNKNOWN;
}

/** Returns `true` if a player can play files of a media type. */
export function isMedia(type: string): boolean {
  return /^(?:video|audio)\//.test(type);
}

/**
 * Returns `true` if files of a media type must be sandboxed in a browser. A page from a torrent could run scripts that
 * read all other served files, which have the same origin. Media and PDF files are safe, since the browser plays them
 * or shows them in its own viewer.
 */
export function isActiveContent(type: string): boolean {
  return !isMedia(type) && type !== "application/pdf";
}
