import type { ApiObjectMetadata } from 'cdk8s';
import { k8s } from 'cdk8s-plus-27';
import type { IConstruct } from 'constructs';
import type { Protocol } from '../runtime/model/index.ts';
import { annotations } from '../runtime/resources/index.ts';
import { withNames } from './metadata.ts';
import type { Ports } from './port.ts';
import type { Check } from './synth/check.ts';
import { checkPortName, checkPortNumber } from './synth/rules.ts';

/** How Kubernetes writes a protocol. */
const appProtocols: Readonly<Record<Protocol, string>> = {
  http: 'http',
  http2: 'kubernetes.io/h2c',
  grpc: 'grpc',
  tcp: 'tcp',
};

/** The ports of a Kubernetes Service. */
export function renderPorts(ports: Ports): k8s.ServicePort[] {
  return Object.entries(ports).map(([name, port]) => ({
    name,
    port: port.port,
    targetPort: k8s.IntOrString.fromNumber(port.containerPort),
    appProtocol: appProtocols[port.protocol],
  }));
}

/** Metadata of a Service, with all that its ports say and Kubernetes has no field for. */
export function withPortAnnotations(object: ApiObjectMetadata, ports: Ports): ApiObjectMetadata {
  return withAppTls(withNames(object, annotations.proxyProtocol, namesWith(ports, 'proxyProtocol')), ports);
}

/** Metadata of a Service, with the ports whose applications listen with TLS only. */
export function withAppTls(object: ApiObjectMetadata, ports: Ports): ApiObjectMetadata {
  return withNames(object, annotations.appTls, namesWith(ports, 'appTls'));
}

function namesWith(ports: Ports, option: 'appTls' | 'proxyProtocol'): string[] {
  return Object.entries(ports).flatMap(([name, port]) => (port[option] ? [name] : []));
}

/** Reports what is wrong with the ports of a service. */
export function checkPorts(check: Check, service: IConstruct, ports: Ports): void {
  const entries = Object.entries(ports);
  if (entries.length === 0) {
    check.report('MW1134', service, 'it has no ports', 'state at least one, for example { http: Port.http(8080) }');
  }
  const seen = new Map<string, string>();
  for (const [name, port] of entries) {
    checkPortName(check, service, name);
    checkPortNumber(check, service, `port ${name}`, port.port);
    if (port.containerPort !== port.port)
      checkPortNumber(check, service, `the container port of ${name}`, port.containerPort);
    for (const [what, number] of [
      ['port', port.port],
      ['container port', port.containerPort],
    ] as const) {
      const other = seen.get(`${what} ${number}`);
      if (other) {
        check.report(
          'MW1137',
          service,
          `ports ${other} and ${name} both have ${what} ${number}`,
          'give one of them another number',
        );
        break;
      }
      seen.set(`${what} ${number}`, name);
    }
  }
}
