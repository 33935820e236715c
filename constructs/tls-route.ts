import { ApiObject, Lazy } from 'cdk8s';
import { Construct } from 'constructs';
import { apiVersions, type TlsRouteObject } from '../runtime/resources/index.ts';
import type { Gateway, GatewayListener } from './gateway.ts';
import type { IRouteParent, IServiceOf, IServicePort, ITarget } from './interfaces.ts';
import { metadata, nameBelowMesh } from './metadata.ts';
import { backendsOf, renderBackends } from './route-rendering.ts';
import type { Check, Checked } from './synth/check.ts';
import { checkTlsRoute } from './synth/tls-routes.ts';

/** What a TLS route can be attached to. */
export type TlsRouteParent = IServicePort<'tcp'> | IServiceOf<'tcp'> | Gateway | GatewayListener;

/** Where a route is in force, the servers it is for, and where they are. */
export interface TlsRouteProps {
  /**
   * Whose connections it decides: a service, for all who call it in the mesh; or a gateway, for those that come to its
   * listeners with `tls: 'passthrough'`. Name a port where the service has ports of several protocols.
   */
  readonly parent: TlsRouteParent;

  /**
   * The servers it is for, as clients name them in their handshake (SNI); `*.example.com` is for all names below one.
   * The exact name decides before a wildcard, a longer wildcard before a shorter one.
   */
  readonly hostnames: readonly string[];

  /** Where the connections go: one target, or several, each with its weight. */
  readonly to: ITarget | readonly ITarget[];
}

/**
 * Decides connections that their programs encrypt themselves, by the server that the TLS handshake names. Nothing is
 * decrypted. Connections to the same parent that name no server, or another, are closed.
 *
 * @example
 * new TlsRoute(shop, 'by-name', { parent: db.port('tls'), hostnames: ['eu.db.example'], to: dbEurope });
 */
export class TlsRoute extends Construct implements Checked {
  /** Type of its component resource in Pulumi. */
  static readonly pulumiType: string = 'meshwright:index:TlsRoute';

  readonly #props: TlsRouteProps;

  constructor(scope: Construct, id: string, props: TlsRouteProps) {
    super(scope, id);
    this.#props = props;
    const parent = parentOf(props);
    parent.attach?.(() => backendsOf(props.to));
    const spec: TlsRouteObject['spec'] = {
      parentRefs: [parent.ref],
      hostnames: [...props.hostnames],
      rules: Lazy.any({ produce: () => [{ backendRefs: renderBackends(backendsOf(props.to), parent.ports) }] }),
    };
    new ApiObject(this, 'Resource', {
      apiVersion: apiVersions.gateway,
      kind: 'TLSRoute',
      metadata: metadata(this, nameBelowMesh(this)),
      spec,
    });
  }

  /** @internal */
  _check(check: Check): void {
    const { hostnames, to } = this.#props;
    checkTlsRoute(check, this, { parent: parentOf(this.#props), hostnames, to });
  }
}

function parentOf({ parent }: TlsRouteProps) {
  return (parent as IRouteParent)._parent();
}
