import { once } from 'node:events';
import type { ClientRequest } from 'node:http';
import { type RequestOptions, request } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import type { TLSSocket } from 'node:tls';
import type { Notice } from '../../runtime/controller/webhook/events.ts';
import { createWebhook, type Webhook, type WebhookOptions } from '../../runtime/controller/webhook/server.ts';
import { ServingCertificateRenewal } from '../../runtime/controller/webhook/serving-certificate.ts';
import { CertificateAuthority } from '../../runtime/identity/authority.ts';
import { defaultSettings } from '../../runtime/injection/index.ts';
import { systemClock } from '../../runtime/model/index.ts';

export interface Reply {
  readonly status: number;
  readonly body: string;
  /** Serial number of the server's certificate. */
  readonly serial: string;
}

export const silent = { info() {}, warn() {} };

/** The webhook of a controller, with a certificate of an authority of its own, and what it is asked. */
export class WebhookServer implements AsyncDisposable {
  readonly notices: Notice[] = [];
  readonly authority: CertificateAuthority;
  readonly webhook: Webhook;
  readonly renewal: ServingCertificateRenewal;
  notReady: string | undefined;

  private constructor(authority: CertificateAuthority, dnsNames: readonly string[], options: Partial<WebhookOptions>) {
    this.authority = authority;
    this.webhook = createWebhook({
      settings: () => defaultSettings,
      recordEvent: (notice) => this.notices.push(notice),
      notReady: () => this.notReady,
      logger: silent,
      ...options,
    });
    this.renewal = new ServingCertificateRenewal({
      authority: () => authority,
      dnsNames,
      onChange: (certificate) => this.webhook.setCertificate(certificate),
      clock: systemClock,
      random: Math.random,
      logger: silent,
    });
  }

  static async start(
    options: { readonly dnsNames?: readonly string[]; readonly host?: string } & Partial<WebhookOptions> = {},
  ): Promise<WebhookServer> {
    const { dnsNames = ['webhook.test'], host = '127.0.0.1', ...rest } = options;
    const authority = await CertificateAuthority.create({ trustDomain: 'shop.local', clock: systemClock });
    const server = new WebhookServer(authority, dnsNames, rest);
    await server.renewal.renew();
    server.webhook.server.listen(0, host);
    await once(server.webhook.server, 'listening');
    return server;
  }

  get port(): number {
    return (this.webhook.server.address() as AddressInfo).port;
  }

  async send(method: string, path: string, body?: string, options: RequestOptions = {}): Promise<Reply> {
    const sent = request({
      host: '127.0.0.1',
      port: this.port,
      method,
      path,
      ca: this.authority.bundlePem,
      servername: 'webhook.test',
      agent: false,
      ...options,
    });
    sent.end(body);
    const [response] = await once(sent, 'response');
    const serial = (response.socket as TLSSocket).getPeerCertificate().serialNumber;
    return { status: response.statusCode, body: await text(response), serial };
  }

  /** Sends a part of a body of that length, and then nothing. */
  begin(path: string, length: number, part: Buffer): ClientRequest {
    const begun = request({
      host: '127.0.0.1',
      port: this.port,
      method: 'POST',
      path,
      headers: { 'content-length': length },
      ca: this.authority.bundlePem,
      servername: 'webhook.test',
      agent: false,
    });
    begun.on('error', () => {});
    begun.write(part);
    return begun;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.renewal.close();
    this.webhook.server.close();
    this.webhook.server.closeAllConnections();
    await once(this.webhook.server, 'close');
  }
}
