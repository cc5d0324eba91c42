// The part of a README that is a run: between two comments that Markdown does not show.

/** `text` with what is between the marks of `name` replaced by `body`. Throws when there are no such marks. */
export function replaceBetweenMarks(text: string, name: string, body: string): string {
  const [begin, end] = [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`];
  const from = text.indexOf(begin);
  const to = text.indexOf(end, from);
  if (from < 0 || to < 0) throw new Error(`there is no ${begin} ... ${end}`);
  return `${text.slice(0, from + begin.length)}\n\n${body}\n\n${text.slice(to)}`;
}
