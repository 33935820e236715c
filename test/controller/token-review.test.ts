import { describe, expect, it } from '@jest/globals';
import { createTokenReview } from '../../runtime/controller/kubernetes/token-review.ts';
import type { TokenReview } from '../../runtime/kubernetes/index.ts';

const good: TokenReview = {
  authenticated: true,
  username: 'system:serviceaccount:shop:web',
  audiences: ['meshwright.dev'],
  extra: { 'authentication.kubernetes.io/pod-name': ['web-0'] },
};

const verify = (review: TokenReview) => createTokenReview({ reviewToken: async () => review })('token');

describe('the review of a token', () => {
  it('says whose it is', async () => {
    expect(await verify(good)).toStrictEqual({ namespace: 'shop', serviceAccount: 'web', pod: 'web-0' });
  });

  it('asks for our audience only', async () => {
    let asked: unknown;
    await createTokenReview({
      reviewToken: async (token, audiences) => {
        asked = [token, audiences];
        return good;
      },
    })('secret');
    expect(asked).toStrictEqual(['secret', ['meshwright.dev']]);
  });

  it.each([
    ['nobody issued it', { authenticated: false, error: 'expired' }, 'not accepted: expired'],
    ['it is for somebody else', { ...good, audiences: ['vault'] }, 'not meant for meshwright.dev'],
    ['the server knows no audiences', { ...good, audiences: undefined }, 'not meant for meshwright.dev'],
    ['it is a user’s', { ...good, username: 'system:admin' }, 'is no service account'],
    ['its name is no account’s', { ...good, username: 'system:serviceaccount:shop:web:x' }, 'is no service account'],
    ['it is bound to no pod', { ...good, extra: {} }, 'not bound to a pod'],
    [
      'it is bound to two pods',
      { ...good, extra: { 'authentication.kubernetes.io/pod-name': ['a', 'b'] } },
      'not bound to a pod',
    ],
  ] as const)('proves nothing where %s', async (_case, review, message) => {
    await expect(verify(review as TokenReview)).rejects.toMatchObject({
      name: 'TokenError',
      message: expect.stringContaining(message),
    });
  });

  it('is no refusal where nobody could be asked', async () => {
    const review = createTokenReview({ reviewToken: () => Promise.reject(new Error('connection refused')) });
    await expect(review('token')).rejects.toMatchObject({ name: 'Error' });
  });

  it('remembers nothing, asks sixteen at a time, and turns away what is too much', async () => {
    const gate = Promise.withResolvers<void>();
    let asked = 0;
    const review = createTokenReview({
      reviewToken: async () => {
        asked++;
        await gate.promise;
        return good;
      },
    });
    const all = Array.from({ length: 16 + 1_000 }, () => review('the same token'));
    expect(asked).toBe(16);
    await expect(review('one more')).rejects.toThrow('too many');
    gate.resolve();
    await Promise.all(all);
    expect(asked).toBe(1_016);
    expect(await review('the same token')).toMatchObject({ pod: 'web-0' });
  });
});
