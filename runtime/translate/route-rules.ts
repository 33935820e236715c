/** What a route says, or where it says nothing: one empty entry, which takes everything. */
export function orEverything<Entry extends object>(entries: readonly Entry[] | undefined): readonly Partial<Entry>[] {
  return entries?.length ? entries : [{}];
}

/** How policies, logs and metrics call a rule of a route: one without a name by its place. */
export function ruleName({ name }: { readonly name?: string }, index: number): string {
  return name ?? `rule-${index}`;
}
