/** Something that collects what one turn of the event loop brings. */
export interface TurnEnd {
  onTurnEnd(): void;
}

let waiting: TurnEnd[] = [];
let spare: TurnEnd[] = [];

/** Has `onTurnEnd` called when this turn of the event loop has read all there was to read. One immediate serves all. */
export function atTurnEnd(collector: TurnEnd): void {
  if (waiting.push(collector) === 1) setImmediate(endTurn);
}

function endTurn(): void {
  const ending = waiting;
  waiting = spare;
  spare = ending;
  let next = 0;
  try {
    while (next < ending.length) ending[next++].onTurnEnd();
  } finally {
    // What one of them throws is its own fault: the rest has its turn all the same.
    for (; next < ending.length; next++) atTurnEnd(ending[next]);
    ending.length = 0;
  }
}
