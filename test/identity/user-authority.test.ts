import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer } from 'node:tls';
import { describe, expect, test } from '@jest/globals';
import {
  type AuthorityFiles,
  CertificateAuthority,
  createCertificateRequest,
  inspectAuthority,
} from '../../runtime/identity/authority.ts';
import { verifyPeerIdentity } from '../../runtime/identity/index.ts';
import { FindingsError, systemClock } from '../../runtime/model/index.ts';
import { ManualClock } from '../support/manual-clock.ts';
import { trustDomain, workload } from './control-plane.ts';
import { authorityExtensions, type OwnAuthority, openssl, ownAuthority } from './openssl-authority.ts';
import { credentialsOf, meet } from './tls-pair.ts';

const day = 86_400_000;
const source = 'Secret meshwright-system/meshwright-ca';
const load = (files: AuthorityFiles, clock = systemClock) =>
  CertificateAuthority.load({ ...files, trustDomain, clock, source });

/** The ids of the findings that loading throws, and their text. */
async function refusal(files: AuthorityFiles, domain: string | undefined = trustDomain): Promise<string> {
  try {
    await CertificateAuthority.load({ ...files, trustDomain: domain, clock: systemClock, source });
  } catch (error) {
    if (error instanceof FindingsError) return error.findings.map(({ id, message }) => `${id} ${message}`).join('\n');
    throw error;
  }
  return 'taken';
}

const root = ownAuthority({ subject: '/O=Größe/CN=Root', key: 'ec:secp384r1' });
const intermediate = (settings: Partial<Parameters<typeof ownAuthority>[0]> = {}) =>
  ownAuthority({ subject: '/CN=Mesh', issuer: root, days: 90, ...settings });
/** As cert-manager writes the Secret of a Certificate with `isCA: true`. */
const secretOf = (own: OwnAuthority, ...above: readonly OwnAuthority[]): AuthorityFiles => ({
  certificatePem: [own, ...above].map(({ certificatePem }) => certificatePem).join(''),
  keyPem: own.keyPem,
  rootPem: root.certificatePem,
});
const mesh = intermediate();

describe('an authority of the user', () => {
  test.each(['ec:prime256v1', 'ec:secp384r1', 'rsa:2048', 'rsa:3072'])(
    'of %s signs certificates that OpenSSL and peers believe by the root alone',
    async (key) => {
      const authority = await load(secretOf(intermediate({ key })));
      const reviews = await credentialsOf(authority, workload('reviews'));
      expect(reviews.bundlePem).toBe(new X509Certificate(root.certificatePem).toString());
      const [leaf, ...above] = reviews.certChainPem.match(/-----BEGIN[\s\S]+?END CERTIFICATE-----\n/g) ?? [];
      expect(above).toHaveLength(1);
      for (const purpose of ['sslserver', 'sslclient']) {
        const files = { leaf: leaf ?? '', above: above.join(''), root: root.certificatePem };
        const args = ['-x509_strict', '-purpose', purpose, '-CAfile', 'root', '-untrusted', 'above', 'leaf'];
        expect(openssl(files, 'verify', ...args)).toMatch('OK');
      }
      const front = await credentialsOf(authority, workload('front'));
      expect(await meet(front, reviews, trustDomain)).toBe('spiffe://shop.local/ns/shop/sa/front');
    },
  );

  test('may be some certificates away from the root; all between are sent, the root is not', async () => {
    const upper = ownAuthority({ subject: '/CN=Upper', issuer: root, key: 'rsa:2048' });
    const lower = intermediate({ issuer: upper });
    for (const files of [
      secretOf(lower, upper),
      secretOf(lower, upper, root),
      { ...secretOf(lower, upper, root), rootPem: undefined },
    ]) {
      const authority = await load(files);
      const [front, reviews] = await Promise.all(
        ['front', 'reviews'].map((n) => credentialsOf(authority, workload(n))),
      );
      expect(front.certChainPem.match(/BEGIN/g)).toHaveLength(3);
      expect(front.bundlePem.match(/BEGIN/g)).toHaveLength(1);
      expect(await meet(front, reviews, trustDomain)).toContain('sa/front');
    }
  });

  test('may be the root itself, in tls.crt and ca.crt, or in tls.crt alone', async () => {
    for (const rootPem of [root.certificatePem, undefined]) {
      const authority = await load({ ...secretOf(root), rootPem });
      const front = await credentialsOf(authority, workload('front'));
      expect(front.certChainPem.match(/BEGIN/g)).toHaveLength(1);
      expect(await meet(front, front, trustDomain)).toContain('sa/front');
    }
  });

  test('publishes all roots of ca.crt, so that a user can overlap them', async () => {
    const next = ownAuthority({ subject: '/CN=Next root' });
    const both = { ...secretOf(mesh), rootPem: root.certificatePem + next.certificatePem };
    const after = { ...secretOf(next), rootPem: both.rootPem };
    const [old, young] = await Promise.all(
      [both, after].map(async (files) => credentialsOf(await load(files), workload('front'))),
    );
    expect(await meet(old, young, trustDomain)).toContain('sa/front');
    expect(await meet(young, old, trustDomain)).toContain('sa/front');
  });

  test.each([
    ['PKCS #1', 'rsa:2048', ['pkey', '-in', 'key', '-traditional']],
    ['SEC 1', 'ec:secp384r1', ['pkey', '-in', 'key', '-traditional']],
    ['SEC 1 with parameters before it', 'ec:prime256v1', ['ec', '-in', 'key']],
    ['PKCS #8', 'rsa:2048', ['pkey', '-in', 'key']],
  ])('may have its key as %s', async (what, key, convert) => {
    const own = intermediate({ key });
    let keyPem = openssl({ key: own.keyPem }, ...convert);
    if (what.includes('parameters')) keyPem = openssl({}, 'ecparam', '-name', 'prime256v1') + keyPem;
    if (what !== 'PKCS #8') expect(keyPem).toMatch(/BEGIN (RSA|EC) /);
    const authority = await load({ ...secretOf(own), keyPem });
    expect(await authority.sign(createCertificateRequest().csrPem, workload('front'))).toBeDefined();
  });

  test('without the name of its key signs certificates that are believed all the same', async () => {
    const extensions = [...authorityExtensions, 'subjectKeyIdentifier=none', 'authorityKeyIdentifier=none'];
    const authority = await load(secretOf(intermediate({ extensions })));
    const front = await credentialsOf(authority, workload('front'));
    expect(await meet(front, front, trustDomain)).toContain('sa/front');
  });

  test('that calls its key as it likes signs certificates that name it so', async () => {
    const extensions = [...authorityExtensions, 'subjectKeyIdentifier=00:01:02:03'];
    const authority = await load(secretOf(intermediate({ extensions })));
    const front = await credentialsOf(authority, workload('front'));
    expect(await meet(front, front, trustDomain)).toContain('sa/front');
  });

  test('makes no certificate that outlives it, or anybody above it', async () => {
    const clock = new ManualClock();
    const short = secretOf(intermediate({ days: 2 }));
    const authority = await load(short, clock);
    const lifetime = async () => {
      const { certChainPem } = await credentialsOf(authority, workload('front'));
      return new X509Certificate(certChainPem).validToDate.getTime();
    };
    const end = new X509Certificate(short.certificatePem).validToDate.getTime();
    expect(await lifetime()).toBeLessThan(end);
    clock.advance(1.8 * day);
    expect(await lifetime()).toBe(end);
    expect(authority.findings()).toMatchObject([{ id: 'MW1608', message: expect.stringContaining('get shorter') }]);
    clock.advance(0.3 * day);
    await expect(lifetime()).rejects.toThrow(/CN=Mesh expired on/);
    expect(authority.findings()).toMatchObject([{ id: 'MW1607' }]);

    const brief = ownAuthority({ subject: '/CN=Brief root', days: 1 });
    const below = await load({ ...secretOf(intermediate({ issuer: brief })), rootPem: brief.certificatePem });
    const leaf = new X509Certificate((await credentialsOf(below, workload('front'))).certChainPem);
    expect(leaf.validToDate).toEqual(new X509Certificate(brief.certificatePem).validToDate);
  });
});

describe('the trust domain', () => {
  const named = (uri: string) =>
    ownAuthority({ subject: '/CN=Named', extensions: [...authorityExtensions, `subjectAltName=URI:${uri}`] });
  const own = (authority: OwnAuthority): AuthorityFiles => ({ ...authority, rootPem: authority.certificatePem });

  test('is what the root says, or else what the mesh says', async () => {
    const files = own(named('spiffe://corp.example'));
    expect((await CertificateAuthority.load({ ...files, clock: systemClock })).trustDomain).toBe('corp.example');
    expect((await load(secretOf(mesh))).trustDomain).toBe(trustDomain);
    expect(await refusal(files)).toMatch(/^MW1606 .*corp.example, the mesh of shop.local/);
    const noName = CertificateAuthority.load({ ...secretOf(mesh), clock: systemClock });
    await expect(noName).rejects.toThrow('MW1606');
  });
});

describe('is refused with a reason:', () => {
  const upper = ownAuthority({
    subject: '/CN=Upper',
    issuer: root,
    extensions: ['basicConstraints=critical,CA:true,pathlen:0', 'keyUsage=keyCertSign'],
  });
  const noAuthority = intermediate({ extensions: ['basicConstraints=critical,CA:false'] });
  const other = ownAuthority({ subject: '/CN=Other' });
  test.each<[string, AuthorityFiles, RegExp]>([
    ['a certificate that is no authority', secretOf(noAuthority), /^MW1604 CN=Mesh is no certificate authority$/],
    [
      'a key that is not for certificates',
      secretOf(intermediate({ extensions: ['basicConstraints=critical,CA:true', 'keyUsage=digitalSignature'] })),
      /^MW1604 the key of CN=Mesh is not for certificates$/,
    ],
    [
      'a path length that is too short',
      secretOf(intermediate({ issuer: upper }), upper),
      /^MW1604 CN=Upper allows 0 certificate authorities below it, there are 1$/,
    ],
    [
      'an authority for servers only',
      secretOf(intermediate({ extensions: [...authorityExtensions, 'extendedKeyUsage=serverAuth'] })),
      /^MW1604 CN=Mesh may not certify both clients and servers$/,
    ],
    ['a short RSA key', secretOf(intermediate({ key: 'rsa:1024' })), /^MW1603 the private key is rsa of 1024 bits$/],
    ['an unusual curve', secretOf(intermediate({ key: 'ec:secp521r1' })), /^MW1603 .* ec on secp521r1$/],
    ['a signature by SHA-1', secretOf(intermediate({ digest: 'sha1' })), /^MW1604 CN=Mesh is signed with SHA-1$/],
    ['the key of somebody else', { ...secretOf(mesh), keyPem: other.keyPem }, /^MW1603 .*do not belong together$/],
    [
      'a public key for the private one',
      { ...secretOf(mesh), keyPem: mesh.certificatePem },
      /^MW1603 .*cannot be read/,
    ],
    [
      'an encrypted key',
      {
        ...secretOf(mesh),
        keyPem: openssl({ key: mesh.keyPem }, 'pkey', '-in', 'key', '-aes256', '-passout', 'pass:secret'),
      },
      /^MW1603 the private key is encrypted$/,
    ],
    ['another root', { ...secretOf(mesh), rootPem: other.certificatePem }, /^MW1605 no root signed CN=Mesh$/],
    ['no root', { ...secretOf(mesh), rootPem: undefined }, /^MW1605 no root signed CN=Mesh$/],
    [
      'a root that is none',
      { ...secretOf(mesh), rootPem: root.certificatePem + upper.certificatePem },
      /^MW1605 CN=Upper is given as a root, but somebody else signed it$/,
    ],
    ['a chain with a gap', secretOf(mesh, upper), /^MW1605 CN=Mesh is not signed by CN=Upper, which follows it/],
    ['text for certificates', { ...secretOf(mesh), certificatePem: 'x' }, /^MW1602 there is no PEM/],
    [
      'all that is wrong at once',
      { certificatePem: 'x', keyPem: 'y', rootPem: 'z' },
      /^MW1603 .*\nMW1602 .*certificate that signs\nMW1602 .*root$/,
    ],
  ])('%s', async (_what, files, reason) => {
    expect(await refusal(files)).toMatch(reason);
  });
});

test('a report tells of all certificates, and warns before one expires, but not of what is young', async () => {
  const now = Date.now();
  const files = secretOf(mesh);
  const at = (days: number) => inspectAuthority(files, { trustDomain, now: now + days * day, source });
  expect(at(0)).toMatchObject({
    description: {
      trustDomain,
      issuer: { subject: 'CN=Mesh', fingerprint: expect.stringMatching(/^([0-9A-F]{2}:){31}[0-9A-F]{2}$/) },
      root: { subject: 'O=Größe, CN=Root' },
      roots: [{ subject: 'O=Größe, CN=Root' }],
      phase: 'steady',
    },
    findings: [],
  });
  expect(at(75).findings).toEqual([]);
  expect(at(77).findings).toMatchObject([{ id: 'MW1608', severity: 'warning', object: source }]);
  expect(at(91).findings).toMatchObject([{ id: 'MW1607', severity: 'error' }]);
  expect(at(3650 - 89).findings).toMatchObject([{ id: 'MW1607' }, { id: 'MW1608' }]);
  expect(at(-1).findings[0]).toMatchObject({ id: 'MW1607', message: expect.stringContaining('not valid before') });
});

describe('the certificate of a server that is known by names', () => {
  const dnsNames = ['meshwright-controller.meshwright-system.svc', 'localhost'];

  test('is believed for these names, by who has the root', async () => {
    const authority = await load(secretOf(mesh));
    const { key, csrPem } = createCertificateRequest();
    const { chainPem, bundlePem } = await authority.signServing({ csrPem, dnsNames });
    const files = { chain: chainPem, root: bundlePem };
    const args = ['verify', '-x509_strict', '-CAfile', 'root', '-untrusted', 'chain', '-purpose'];
    expect(openssl(files, ...args, 'sslserver', '-verify_hostname', dnsNames[0], 'chain')).toMatch('OK');
    expect(() => openssl(files, ...args, 'sslclient', 'chain')).toThrow(/unsuitable certificate purpose|unsupported/);
    expect(new X509Certificate(chainPem).subjectAltName).toBe(dnsNames.map((name) => `DNS:${name}`).join(', '));

    const server = createServer({ key, cert: chainPem }, (socket) => {
      socket.on('error', () => {});
      socket.end();
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const socket = connect({ port, host: '127.0.0.1', servername: dnsNames[0], ca: bundlePem });
    await once(socket, 'secureConnect');
    socket.destroy();
    server.close();
  });

  test('is no identity in the mesh', async () => {
    const authority = await load(secretOf(mesh));
    const { key, csrPem } = createCertificateRequest();
    const { chainPem, bundlePem } = await authority.signServing({ csrPem, dnsNames });
    const server = await credentialsOf(authority, workload('reviews'));
    const client = { key, certChainPem: chainPem, bundlePem };
    await expect(meet(client, server, trustDomain)).rejects.toThrow('does not believe the client');
    const front = await credentialsOf(authority, workload('front'));
    expect(verifyPeerIdentity(new X509Certificate(chainPem).subjectAltName, trustDomain)).toBeUndefined();
    expect(await meet(front, server, trustDomain)).toContain('sa/front');
  });

  test.each([[[]], [['*.example.com']], [['spiffe://shop.local']], [['a..b']], [['A.b']], [[`${'a'.repeat(64)}.b`]]])(
    'is not made for %j',
    async (names) => {
      const authority = await load(secretOf(mesh));
      const { csrPem } = createCertificateRequest();
      await expect(authority.signServing({ csrPem, dnsNames: names })).rejects.toThrow('known by DNS names');
    },
  );
});

test('what an authority says of itself never holds its key', async () => {
  const authority = await load(secretOf(mesh));
  const secret = createPrivateKey(mesh.keyPem)
    .export({ type: 'pkcs8', format: 'der' })
    .toString('base64')
    .slice(40, 80);
  expect(authority.keyPem.replaceAll('\n', '')).toContain(secret);
  expect(JSON.stringify(authority.describe()).replaceAll('\n', '')).not.toContain(secret);
});
