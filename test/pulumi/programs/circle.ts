import type * as kubernetes from '@pulumi/kubernetes';
import { ApiObject } from 'cdk8s';
import { App, Mesh, Port, Service } from 'meshwright';
import { attribute, input, PulumiApp } from 'meshwright/pulumi';

/*
 * A Kubernetes Service waits for an address that only it has. What `apply` makes of it hides that until all runs.
 */

const shop = new Mesh(new App(), 'shop', { trustDomain: 'shop.local' });
const cart = new Service(shop, 'cart', { ports: { http: Port.http(8080) }, workload: { image: 'example/cart:1' } });
const service = ApiObject.of(cart);
const address = attribute(service, ({ spec }: kubernetes.core.v1.Service) => spec.clusterIP);
service.metadata.addAnnotation('own-address', input(address.apply((ip) => `http://${ip}`)));
new PulumiApp('east', shop);
