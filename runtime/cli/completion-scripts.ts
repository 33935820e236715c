/** A command as a shell completes it. */
export interface CompletedCommand {
  readonly name: string;
  readonly summary: string;
  readonly options: readonly { readonly name: string; readonly description: string }[];
}

export function bashScript(commands: readonly CompletedCommand[]): string {
  const cases = commands.map(
    ({ name, options }) => `    ${name}) words='${options.map((option) => option.name).join(' ')}' ;;`,
  );
  return `_meshwright() {
  local words
  case "\${COMP_WORDS[1]}" in
${cases.join('\n')}
    *) words='' ;;
  esac
  [ "$COMP_CWORD" -eq 1 ] && words='${commands.map(({ name }) => name).join(' ')}'
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _meshwright meshwright mw
`;
}

export function zshScript(commands: readonly CompletedCommand[]): string {
  const quote = (text: string) =>
    text.replaceAll(/['\\[\]:]/g, (character) => (character === "'" ? `'\\''` : `\\${character}`));
  const cases = commands.map(({ name, options }) => {
    const specs = options.map((option) => `'${option.name}[${quote(option.description)}]'`);
    return `    ${name}) _arguments ${[...specs, "'*:file:_files'"].join(' ')} ;;`;
  });
  return `#compdef meshwright mw
_meshwright() {
  local -a commands
  commands=(
${commands.map(({ name, summary }) => `    '${name}:${quote(summary)}'`).join('\n')}
  )
  if (( CURRENT == 2 )); then _describe command commands; return; fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
${cases.join('\n')}
  esac
}
compdef _meshwright meshwright mw
`;
}

export function fishScript(commands: readonly CompletedCommand[]): string {
  const quote = (text: string) => `'${text.replaceAll(/['\\]/g, (character) => `\\${character}`)}'`;
  const lines = commands.flatMap(({ name, summary, options }) => [
    `complete -c meshwright -n __fish_use_subcommand -f -a ${name} -d ${quote(summary)}`,
    ...options.map(
      (option) =>
        `complete -c meshwright -n '__fish_seen_subcommand_from ${name}' -l ${option.name.replace(/^--/, '')} -d ${quote(option.description)}`,
    ),
  ]);
  return `${[...lines, 'complete -c mw -w meshwright'].join('\n')}\n`;
}
