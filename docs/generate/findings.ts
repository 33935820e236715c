import { writeFileSync } from 'node:fs';
import { catalogue } from '../../runtime/model/index.ts';

/** What the first two digits of an id stand for. */
const areas: Readonly<Record<string, string>> = {
  10: 'Manifests',
  11: 'Meshes and services',
  12: 'Routes',
  13: 'Policies',
  14: 'Gateways',
  15: 'Running on one machine',
  16: 'Identity',
  17: 'Discovery',
  18: 'Command line',
  19: 'Injection',
};

/** The page docs/findings.md: every finding of the catalogue. */
export function renderFindings(): string {
  const groups = Map.groupBy(Object.entries(catalogue), ([id]) => id.slice(2, 4));
  const sections = [...groups].map(([digits, entries]) => {
    const rows = entries.map(([id, { severity, title }]) => `| \`${id}\` | ${severity} | ${title} |`);
    return [`## ${areas[digits] ?? `${digits}xx`}`, '', '| Id | Severity | Meaning |', '|---|---|---|', ...rows].join(
      '\n',
    );
  });
  return `${introduction}\n${sections.join('\n\n')}\n`;
}

const introduction = `<!-- Made by \`npm run docs:findings\` from runtime/model/catalogue.ts. Do not edit. -->

# Findings

A finding is something you should know about your mesh. It has a stable id, a severity, a place, what is wrong, and
what to do about it:

\`\`\`text
error MW1233 hello/greeter/canary: split: the weight of greeter-v2 is -5; allowed are whole numbers from 0 to 1000000
    fix: weights are shares of their sum: 90 and 10, or 9 and 1
\`\`\`

The place is a path in your construct tree, or a field of a Kubernetes object in brackets, or both.

- **error**: synthesis writes nothing, and \`meshwright validate\` exits with code 3. In a running controller the object,
  or the part of it that is wrong, has no effect; everything else stays in force.
- **warning**: it works, but perhaps not as you think.

All findings are reported at once. A running controller lists its own at \`/api/v1/findings\`. Ids are never reused.

A warning that you know of can be acknowledged, for a construct and what is below it; then it is not told any more.
Errors cannot.

\`\`\`ts
import { acknowledge } from 'meshwright';
import { reviews } from './main.ts';

acknowledge(reviews, 'MW1240', 'callers handle 404');
\`\`\`
`;

if (import.meta.main) {
  writeFileSync(new URL('../findings.md', import.meta.url), renderFindings());
}
