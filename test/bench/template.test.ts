import { expect, test } from '@jest/globals';
import { fillTemplate } from '../../bench/pairs/template.ts';

test('every name in capitals is replaced by its value', () => {
  expect(
    fillTemplate('bind 127.0.0.1:$INBOUND for "$IDENTITY"', { INBOUND: 8443, IDENTITY: 'spiffe://a/ns/b/sa/c' }),
  ).toBe('bind 127.0.0.1:8443 for "spiffe://a/ns/b/sa/c"');
});

test('a value is taken literally', () => {
  expect(fillTemplate('$A', { A: "$& $' $B" })).toBe("$& $' $B");
});

test('words in small letters are left to the program that reads them', () => {
  expect(fillTemplate('log $host %[src]', {})).toBe('log $host %[src]');
});

test('a name without a value is an error that tells which names there are', () => {
  expect(() => fillTemplate('port $BACKEND', { OUTBOUND: 1, INBOUND: 2 })).toThrow(
    'OUTBOUND, INBOUND in the template, got $BACKEND',
  );
});
