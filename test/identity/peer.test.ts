import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { verifyPeerIdentity } from '../../runtime/identity/index.ts';
import { formatSpiffeId } from '../../runtime/model/index.ts';

const name = fc.stringMatching(/^[a-z]([a-z0-9-]{0,20}[a-z0-9])?$/);

test('a single URI that is a SPIFFE id of the trust domain is an identity', () => {
  fc.assert(
    fc.property(name, name, name, (trustDomain, namespace, serviceAccount) => {
      const id = { trustDomain, namespace, serviceAccount };
      expect(verifyPeerIdentity(`URI:${formatSpiffeId(id)}`, trustDomain)).toEqual(id);
    }),
  );
});

test.each([
  ['no name at all', undefined],
  ['an empty name', ''],
  ['another trust domain', 'URI:spiffe://evil.local/ns/shop/sa/reviews'],
  ['a trust domain that only begins alike', 'URI:spiffe://shop.local.evil/ns/shop/sa/reviews'],
  ['a DNS name', 'DNS:spiffe://shop.local/ns/shop/sa/reviews'],
  ['a second URI', 'URI:spiffe://shop.local/ns/shop/sa/reviews, URI:spiffe://shop.local/ns/shop/sa/admin'],
  ['a DNS name beside it', 'URI:spiffe://shop.local/ns/shop/sa/reviews, DNS:reviews'],
  ['a DNS name before it', 'DNS:reviews, URI:spiffe://shop.local/ns/shop/sa/reviews'],
  ['a name that hides another one (CVE-2021-44532)', 'URI:"spiffe://shop.local/ns/shop/sa/reviews, URI:x"'],
  ['a quoted name', 'URI:"spiffe://shop.local/ns/shop/sa/reviews"'],
  ['a line end after it', 'URI:spiffe://shop.local/ns/shop/sa/reviews\n'],
  ['a NUL inside', 'URI:spiffe://shop.local/ns/shop/sa/reviews\u0000.evil'],
  ['a dot segment', 'URI:spiffe://shop.local/ns/../sa/reviews'],
  ['a percent escape', 'URI:spiffe://shop.local/ns/sh%6fp/sa/reviews'],
  ['upper case in the scheme', 'URI:SPIFFE://shop.local/ns/shop/sa/reviews'],
  ['a longer path', 'URI:spiffe://shop.local/ns/shop/sa/reviews/x'],
  ['the trust domain alone', 'URI:spiffe://shop.local'],
  ['a query', 'URI:spiffe://shop.local/ns/shop/sa/reviews?x'],
])('%s is no identity', (_what, subjectAltName) => {
  expect(verifyPeerIdentity(subjectAltName, 'shop.local')).toBeUndefined();
});
