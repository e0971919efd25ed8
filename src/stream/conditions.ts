/**
 * Requests that depend on what the client has already (RFC 9110 section 13). What a torrent holds never changes, so that a tag
 * stands for a file for ever; there are no dates.
 *
 * @module
 */

/** The fields of a request. */
export interface Fields {
  /** Value of a field, by its name in lower case; `null` when it isn't there. */
  get(name: string): string | null;
}

/**
 * What the conditions of a request come to.
 *
 * @param fields Of the request.
 * @param tag Of the file, with its quotes.
 * @returns 412 or 304 when that is the answer, `null` when the request is to be answered; and whether its range counts.
 */
export function judgeConditions(
  fields: Fields,
  tag: string,
): { readonly status: 304 | 412 | null; readonly rangeCounts: boolean } {
  const match = fields.get("if-match");
  if (match !== null && !names(match, tag, { weak: false })) return { status: 412, rangeCounts: false };
  const noneMatch = fields.get("if-none-match");
  if (noneMatch !== null && names(noneMatch, tag, { weak: true })) return { status: 304, rangeCounts: false };
  const range = fields.get("if-range");
  return { status: null, rangeCounts: range === null || range.trim() === tag };
}

/** Whether a list of tags has one in it. A tag of ours has no comma in it. */
function names(field: string, tag: string, { weak }: { readonly weak: boolean }): boolean {
  return field.split(",").some((item) => {
    const text = item.trim();
    return text === "*" || text === tag || (weak && text === `W/${tag}`);
  });
}
