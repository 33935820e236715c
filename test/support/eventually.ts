/** Waits until a condition gives a value that is not false or undefined; fails after `deadline` milliseconds. */
export async function eventually<T>(
  condition: () => T | Promise<T>,
  deadline = 5_000,
): Promise<Exclude<T, false | undefined>> {
  const end = performance.now() + deadline;
  for (;;) {
    const value = await condition();
    if (value) return value as Exclude<T, false | undefined>;
    if (performance.now() > end) throw new Error(`not within ${deadline} ms: ${condition}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
