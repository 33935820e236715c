import type { CustomResource, Input, Output } from '@pulumi/pulumi';
import type { ApiObject } from 'cdk8s';
import type { Gateway } from '../gateway.ts';
import { type kubernetes, pulumi } from './sdk.ts';

interface Registration {
  readonly resource: Output<CustomResource>;
  readonly resolve: (resource: CustomResource) => void;
}

const registrations = new WeakMap<ApiObject, Registration>();
const origins = new WeakMap<object, ApiObject>();

/**
 * An attribute that the cluster gives to an object: an address, a status. It can be asked for at any time, also while
 * the tree is built, and can be an {@link input} of other objects. Before the object exists, as in its first preview,
 * it is unknown.
 *
 * @param object - for the default object of a construct, use `ApiObject.of(construct)`
 * @param select - takes the attribute from the object's resource
 * @example
 * const clusterIP = attribute(ApiObject.of(web), (service: k8s.core.v1.Service) => service.spec.clusterIP);
 */
export function attribute<R extends CustomResource, T>(
  object: ApiObject,
  select: (resource: R) => Input<T>,
): Output<T> {
  const { resource } = registrationOf(object);
  const value = resource.apply((registered) =>
    // An object without an id is only planned; what a dry run says of it is invented.
    pulumi.all([registered.id, select(registered as R)] as const).apply(([, selected]) => selected),
  ) as Output<T>;
  origins.set(value, object);
  return value;
}

/**
 * The address under which clients outside of the cluster reach a gateway. Pulumi waits until there is one; only where it
 * is told not to wait (`skipAwait`) the value can be undefined.
 *
 * @example export const address = gatewayAddress(gateway);
 */
export function gatewayAddress(gateway: Gateway): Output<string | undefined> {
  const service = gateway.node.findChild('Service') as ApiObject;
  return attribute(service, (resource: InstanceType<typeof kubernetes.core.v1.Service>) =>
    resource.status.apply((status) => {
      const [ingress] = status?.loadBalancer?.ingress ?? [];
      return (ingress?.hostname ?? ingress?.ip) as string | undefined;
    }),
  );
}

/** The object an attribute is of. */
export function originOf(output: Output<unknown>): ApiObject | undefined {
  return origins.get(output);
}

/** Lets attributes of an object resolve. */
export function register(object: ApiObject, resource: CustomResource): void {
  registrationOf(object).resolve(resource);
}

function registrationOf(object: ApiObject): Registration {
  let registration = registrations.get(object);
  if (!registration) {
    const [resource, resolve] = pulumi.deferredOutput<CustomResource>();
    registration = { resource, resolve: (registered) => resolve(pulumi.output(registered) as Output<CustomResource>) };
    registrations.set(object, registration);
  }
  return registration;
}
