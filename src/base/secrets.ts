/**
 * Secrets in URLs, taken out of what is shown: passwords, passkeys of trackers, tokens of web servers.
 *
 * @module
 */

/** What stands for a secret, after its first characters. */
const HIDDEN = "***";
/** Most characters of a secret that are shown; of one that isn't long, a quarter. */
const MAX_SHOWN = 4;
/** Fewest characters of a part of a URL that is looked for in other text; shorter ones are in any text. */
const MIN_KNOWN = 6;

/** A URL in text. It ends at what no URL holds; what stands around it may be a part of it, too, see {@linkcode TAIL}. */
const URL_IN_TEXT = /[a-z][a-z0-9+.-]{0,20}:\/\/[^\s"<>`]*/gi;
const MAGNET_IN_TEXT = /magnet:\?[^\s"<>`]+/gi;
/** Brackets, quotation marks and punctuation behind a URL, which most likely belong to the sentence. */
const TAIL = /[)\]}'|,.:;!?]+$/;
const URL_PARTS = /^([a-z][a-z0-9+.-]*:\/\/)(?:([^\/?#]*)@)?([^\/?#]*)([^?#]*)(\?[^#]*)?(#.*)?$/is;
/** The part of a tracker's path that is the same for everybody. */
const ANNOUNCE = /^(?:announce|scrape)(?:\.[a-z]{1,4})?$/i;
/** Values of a query that say too little to be secrets: none, and small numbers. */
const HARMLESS = /^\d{0,5}$/;
/** Letters and digits that nobody writes by hand, and UUIDs. */
const TOKEN = /(?=[a-z]*\d)[a-z0-9]{16,}|[a-z]{28,}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/i;

/**
 * Takes the secrets out of text, so that it can be shown: in each URL user and password, the values of the query, in the
 * path of a tracker all but `announce`, and in other paths what looks like a token. Scheme, host, port, the names in the
 * query, small numbers there, and the first characters of long secrets stay, so that one can tell which URL it was.
 *
 * @param text Any text, with URLs in it or not.
 * @param known Secrets to take out wherever they stand, as {@linkcode secretsIn} gives them: servers repeat them.
 * @returns The text without them.
 */
export function redact(text: string, known: readonly string[] = []): string {
  let shown = text;
  if (shown.includes("://")) shown = shown.replace(URL_IN_TEXT, redactUrl);
  if (/magnet:\?/i.test(shown)) shown = shown.replace(MAGNET_IN_TEXT, redactMagnet);
  // The longest first, since one can be a part of another.
  for (const secret of known.toSorted((a, b) => b.length - a.length)) shown = shown.replaceAll(secret, mask(secret));
  return shown;
}

/**
 * The secrets of a URL.
 *
 * @param url An absolute URL.
 * @returns What {@linkcode redact} takes out of it, as it is written and decoded, without what is too short to be told
 * from other text.
 */
export function secretsIn(url: string): string[] {
  const secrets = new Set<string>();
  redactParts(url, (secret) => {
    for (const form of [secret, decoded(secret)]) if (form.length >= MIN_KNOWN) secrets.add(form);
    return "";
  });
  return [...secrets];
}

/** A password with a slash in it, which makes the URL invalid; what stands in place of the port shows it. */
const BROKEN_LOGIN = /^([a-z][a-z0-9+.-]*:\/\/)[^\/@\[]*:[^\/@]*[^\/@\d][^@]*@/i;

function redactUrl(text: string): string {
  const url = text.replace(BROKEN_LOGIN, "$1");
  const tail = TAIL.exec(url)?.[0] ?? "";
  return redactParts(url.slice(0, url.length - tail.length), mask) + tail;
}

/** Trackers and web seeds stand in a magnet link percent-encoded. */
function redactMagnet(text: string): string {
  const tail = TAIL.exec(text)?.[0] ?? "";
  const link = text.slice(0, text.length - tail.length);
  const shown = link.replace(/([?&][^=&]*=)([^&]*)/g, (whole, name: string, value: string) => {
    const plain = decoded(value);
    return plain.includes("://") ? `${name}${encodeURIComponent(redact(plain))}` : whole;
  });
  return shown + tail;
}

/** Puts a URL together again with each secret replaced. */
function redactParts(url: string, replace: (secret: string) => string): string {
  const parts = URL_PARTS.exec(url);
  if (parts === null) return url;
  const [, scheme = "", user = "", host = "", path = "", query = "", fragment = ""] = parts;
  const login = /^([^:]*):?(.*)$/s.exec(user)!.slice(1).filter((word) => word !== "");
  for (const word of login) replace(word);
  const segments = path.split("/");
  const isTracker = segments.some((segment) => ANNOUNCE.test(segment));
  const shownPath = segments.map((segment) => {
    const secret = isTracker ? segment !== "" && !ANNOUNCE.test(segment) : TOKEN.test(segment);
    return secret ? replace(segment) : segment;
  });
  const shownQuery = query.replace(
    /([?&;])([^=&;]*)(=?)([^&;]*)/g,
    (_, mark: string, name: string, is, value: string) =>
      // What has no name is all value.
      is === ""
        ? mark + (name === "" ? "" : replace(name))
        : `${mark}${name}=${HARMLESS.test(value) ? value : replace(value)}`,
  );
  return scheme + host + shownPath.join("/") + shownQuery +
    (fragment === "" ? "" : `#${replace(fragment.slice(1))}`);
}

function mask(secret: string): string {
  if (secret.endsWith(HIDDEN) && secret.length <= MAX_SHOWN + HIDDEN.length) return secret; // it was taken out before
  return `${secret.slice(0, Math.min(MAX_SHOWN, secret.length >> 2))}${HIDDEN}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return text;
    throw error;
  }
}
