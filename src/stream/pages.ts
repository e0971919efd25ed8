/**
 * HTML pages and playlists of the stream server.
 *
 * @module
 */

import { MAX_LISTED_FILES } from "../base/defences.ts";
import { filePath, playlistPath, type ServedFile, type ServedTorrent, torrentPath } from "./catalog.ts";
import { contentType, isMedia } from "./content_type.ts";

const STYLE = "body{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;" +
  "color-scheme:light dark}li{overflow-wrap:anywhere}small{opacity:.7;white-space:nowrap}";

/**
 * Renders a page with links to the files of torrents.
 *
 * @param torrents The torrents.
 * @param title Title of the page.
 * @returns HTML.
 */
export function listPage(torrents: readonly ServedTorrent[], title: string): string {
  const parts = torrents.map((torrent) => {
    const { files, name } = torrent;
    const items = files.slice(0, MAX_LISTED_FILES).map((file) => fileItem(torrent, file));
    if (files.length > items.length) items.push(`<li>and ${files.length - items.length} more</li>`);
    const playlist = playable(torrent).length > 0 ? `<p><a href="${playlistPath(torrent)}">Playlist</a></p>\n` : "";
    const heading = `<h2><a href="${torrentPath(torrent)}">${escapeHtml(name)}</a></h2>`;
    return `${heading}\n${playlist}<ul>\n${items.join("\n")}\n</ul>`;
  });
  const body = parts.length > 0 ? parts.join("\n") : "<p>Nothing yet: the metadata of the torrents is not known.</p>";
  return `<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<style>${STYLE}</style>
<h1>${escapeHtml(title)}</h1>
${body}
</html>
`;
}

/**
 * Renders a playlist of the media files of a torrent.
 *
 * @param torrent The torrent.
 * @param base `http://host:port`, without a trailing slash.
 * @returns M3U in UTF-8.
 */
export function playlist(torrent: ServedTorrent, base: string): string {
  const lines = playable(torrent).slice(0, MAX_LISTED_FILES).flatMap((file) => [
    `#EXTINF:-1,${onOneLine(file.path.at(-1)!)}`,
    base + filePath(torrent, file),
  ]);
  return ["#EXTM3U", ...lines, ""].join("\n");
}

/** Escapes text for an HTML element or attribute. */
function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

function fileItem(torrent: ServedTorrent, file: ServedFile): string {
  // The first name is the torrent's, which is the heading of the list.
  const name = (file.path.length > 1 ? file.path.slice(1) : file.path).join("/");
  const size = `${file.length.toLocaleString("en")} bytes`;
  return `<li><a href="${filePath(torrent, file)}">${escapeHtml(name)}</a> <small>${size}</small></li>`;
}

function playable({ files }: ServedTorrent): ServedFile[] {
  return files.filter((file) => isMedia(contentType(file.path.at(-1)!)));
}

function onOneLine(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\x00-\x1f\x7f]/g, " ");
}
