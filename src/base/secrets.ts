/**
 * Removes secrets from URLs before they are shown: passwords, tracker passkeys, tokens of web servers.
 *
 * @module
 */

/** Replacement for all but the first characters of a secret. */
const HIDDEN = "***";
/** Characters of a secret that are shown at most; of a short secret, only a quarter. */
const MAX_SHOWN = 4;
/** Parts of a URL below this length in characters are not searched for in other text, since they occur in any text. */
const MIN_KNOWN = 6;

/** A URL in text, up to a character that no URL contains, and with punctuation after it, see {@linkcode TAIL}. */
const URL_IN_TEXT = /[a-z][a-z0-9+.-]{0,20}:\/\/[^\s"<>`]*/gi;
const MAGNET_IN_TEXT = /magnet:\?[^\s"<>`]+/gi;
/** Brackets, quotation marks and punctuation after a URL, which most likely belong to the sentence. */
const TAIL = /[)\]}'|,.:;!?]+$/;
const URL_PARTS = /^([a-z][a-z0-9+.-]*:\/\/)(?:([^\/?#]*)@)?([^\/?#]*)([^?#]*)(\?[^#]*)?(#.*)?$/is;
/** Part of a tracker's path that is the same for all users. */
const ANNOUNCE = /^(?:announce|scrape)(?:\.[a-z]{1,4})?$/i;
/** Query values that are no secrets: empty ones and small numbers. */
const HARMLESS = /^\d{0,5}$/;
/** Random-looking letters and digits, and UUIDs. */
const TOKEN = /(?=[a-z]*\d)[a-z0-9]{16,}|[a-z]{28,}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/i;

/**
 * Removes secrets from text so that it can be shown. In each URL it removes user and password, query values, the path
 * of a tracker except `announce`, and what looks like a token in other paths. Scheme, host, port, query names, small
 * numbers and the first characters of long secrets stay, so that the URL can be recognized.
 *
 * @param text Any text, with or without URLs.
 * @param known Secrets from {@linkcode secretsIn} that are removed anywhere in the text, since servers repeat them.
 */
export function redact(text: string, known: readonly string[] = []): string {
  let shown = text;
  if (shown.includes("://")) shown = shown.replace(URL_IN_TEXT, redactUrl);
  if (/magnet:\?/i.test(shown)) shown = shown.replace(MAGNET_IN_TEXT, redactMagnet);
  // The longest first, as one secret can be a part of another.
  for (const secret of known.toSorted((a, b) => b.length - a.length)) shown = shown.replaceAll(secret, mask(secret));
  return shown;
}

/**
 * Returns the secrets of a URL.
 *
 * @param url An absolute URL.
 * @returns All parts that {@linkcode redact} would remove, as written and decoded. Parts that are too short to search
 * for are left out.
 */
export function secretsIn(url: string): string[] {
  const secrets = new Set<string>();
  redactParts(url, (secret) => {
    for (const form of [secret, decoded(secret)]) if (form.length >= MIN_KNOWN) secrets.add(form);
    return "";
  });
  return [...secrets];
}

/** A password with a slash in it, which makes the URL invalid. It shows as a port that is no number. */
const BROKEN_LOGIN = /^([a-z][a-z0-9+.-]*:\/\/)[^\/@\[]*:[^\/@]*[^\/@\d][^@]*@/i;

function redactUrl(text: string): string {
  const url = text.replace(BROKEN_LOGIN, "$1");
  const tail = TAIL.exec(url)?.[0] ?? "";
  return redactParts(url.slice(0, url.length - tail.length), mask) + tail;
}

/** Redacts the trackers and web seeds of a magnet link, which are percent-encoded. */
function redactMagnet(text: string): string {
  const tail = TAIL.exec(text)?.[0] ?? "";
  const link = text.slice(0, text.length - tail.length);
  const shown = link.replace(/([?&][^=&]*=)([^&]*)/g, (whole, name: string, value: string) => {
    const plain = decoded(value);
    return plain.includes("://") ? `${name}${encodeURIComponent(redact(plain))}` : whole;
  });
  return shown + tail;
}

/** Rebuilds a URL with each secret replaced. */
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
      // A parameter without "=" is all value.
      is === ""
        ? mark + (name === "" ? "" : replace(name))
        : `${mark}${name}=${HARMLESS.test(value) ? value : replace(value)}`,
  );
  return scheme + host + shownPath.join("/") + shownQuery +
    (fragment === "" ? "" : `#${replace(fragment.slice(1))}`);
}

function mask(secret: string): string {
  if (secret.endsWith(HIDDEN) && secret.length <= MAX_SHOWN + HIDDEN.length) return secret; // it is redacted already
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
